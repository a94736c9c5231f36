import pytest
import torch
from pydantic import ValidationError

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RunError
from flowsynth.functional.picture.resize import lanczos
from flowsynth.operators.size.upscale import Upscale
from tests.operators.conftest import moving_clip


@pytest.mark.parametrize(
    ("params", "size"),
    [
        ({}, (46, 62)),
        ({"factor": 1.5}, (34, 46)),
        ({"height": 46}, (46, 62)),
        ({"width": 93}, (69, 93)),
        ({"height": 10, "width": 70}, (10, 70)),
        ({"factor": 0.01}, (1, 1)),
    ],
)
def test_the_size_follows_the_parameters(params: dict[str, float], size: tuple[int, int]) -> None:
    out = Upscale(**params).run(RunContext(), frames=moving_clip(1))
    assert (out.height, out.width) == size


def test_lanczos_is_the_function_clamped() -> None:
    clip = moving_clip(2, dtype="float32")
    clip = clip.with_data((clip.tensor > 0.5).float())  # hard edges ring
    expected = lanczos(clip.tensor, (46, 62))
    assert expected.max() > 1
    out = Upscale().run(RunContext(), frames=clip)
    assert torch.equal(out.tensor, expected.clamp(0, 1))


def test_rate_and_kind_stay() -> None:
    clip = moving_clip(1)
    out = Upscale().run(RunContext(), frames=clip)
    assert (out.fps, out.kind) == (clip.fps, clip.kind)


def test_mistakes_are_named() -> None:
    (fault,) = Upscale(factor=2, height=100).check({})
    assert "params.factor: beside a size; expected factor, or height and width; given factor 2.0" in str(
        fault
    )
    with pytest.raises(ValidationError, match="greater than 0"):
        Upscale(factor=0)
    with pytest.raises(RunError, match="31x23 would become 22083x16384; at most 16384"):
        Upscale(height=16384).run(RunContext(), frames=moving_clip(1))
