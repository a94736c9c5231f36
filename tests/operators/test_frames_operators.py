"""What every operator on frames promises: chunks, dtypes, odd sizes, inputs left alone, a stop heard."""

from typing import Any

import pytest
import torch

from flowsynth.core.context import RunContext
from flowsynth.core.errors import CancelledError
from flowsynth.core.operator import Operator
from flowsynth.operators.control.annotate import Annotate
from flowsynth.operators.motion.temporal_smooth import TemporalSmooth
from flowsynth.operators.picture.stylize import Stylize
from flowsynth.operators.size.upscale import Upscale
from flowsynth.operators.timing.interpolate import Interpolate
from flowsynth.values import Frames
from tests.operators.chunked import run_by_chunks
from tests.operators.conftest import moving_clip

OPERATORS: list[Operator] = [
    *(Annotate(detector=name) for name in ("canny", "luma", "tile", "blur")),
    *(Stylize(style=name) for name in ("toon", "oil_painting", "watercolor", "pencil_sketch")),
    *(TemporalSmooth(method=name) for name in ("gaussian", "median", "exponential")),
    TemporalSmooth(method="histogram", radius=3),
    TemporalSmooth(method="histogram", match="moments", radius=1),
    Upscale(method="lanczos"),
    Upscale(method="bicubic", height=17),
    Interpolate(),
    Interpolate(factor="5/3"),
    Interpolate(fps="30000/1001"),
    Interpolate(fps=10),
]


def label(operator: Operator) -> str:
    given = operator.model_dump(exclude_defaults=True).values()
    return "-".join([operator.op, *(str(value).replace("/", ":") for value in given)])


every_operator = pytest.mark.parametrize("operator", OPERATORS, ids=label)


def run(operator: Operator, clip: Frames) -> Frames:
    result: Any = operator.run(RunContext(), frames=clip)
    assert isinstance(result, Frames)
    return result


@every_operator
@pytest.mark.parametrize(("length", "chunk"), [(1, 4), (2, 1), (7, 3), (9, 4)])
def test_chunks_give_the_bits_of_the_whole(operator: Operator, length: int, chunk: int) -> None:
    clip = moving_clip(length)
    whole, pieces = run(operator, clip), run_by_chunks(operator, clip, chunk)
    assert torch.equal(whole.tensor, pieces.tensor)
    assert (whole.fps, whole.kind) == (pieces.fps, pieces.kind)


@every_operator
def test_dtype_stays_and_values_agree(operator: Operator, dtype: str) -> None:
    """A float clip gives what its uint8 twin gives, but for rounding at the two ends."""
    clip = moving_clip(4, dtype=dtype)
    twin = moving_clip(4)
    out, expected = run(operator, clip), run(operator, twin)
    assert out.parts[0].dtype == clip.parts[0].dtype
    assert out.frame_shape == expected.frame_shape
    if getattr(operator, "detector", "") != "canny":  # a rounded gradient may fall under a threshold
        assert (out.to_float() - expected.to_float()).abs().mean() < 0.02


@every_operator
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (3, 2), (33, 47)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_and_grey_work(operator: Operator, size: tuple[int, int], channels: int) -> None:
    out = run(operator, moving_clip(2, *size, channels=channels))
    assert out.num_frames >= 1
    assert out.tensor.dtype == torch.uint8


@every_operator
def test_the_input_is_not_written_to_and_parts_agree_with_one_tensor(operator: Operator) -> None:
    clip = moving_clip(5, dtype="float32")
    before = clip.tensor.clone()
    cut = clip.with_data((clip.tensor[:2].clone(), clip.tensor[2:].clone()))
    assert torch.equal(run(operator, clip).tensor, run(operator, cut).tensor)
    assert torch.equal(clip.tensor, before)


@every_operator
def test_a_stop_is_heard(operator: Operator) -> None:
    import threading

    stopped = threading.Event()
    stopped.set()
    with pytest.raises(CancelledError):
        operator.run(RunContext(node="n", cancelled=stopped), frames=moving_clip(2))
