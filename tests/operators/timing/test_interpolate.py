import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from pydantic import ValidationError

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.core.streams import StreamInfo
from flowsynth.operators.timing.interpolate import Interpolate
from tests.operators.conftest import moving_clip


def test_doubling_keeps_the_source_frames_and_mixes_between() -> None:
    clip = moving_clip(4)
    out = Interpolate(factor=2).run(RunContext(), frames=clip)
    assert out.num_frames == 8
    assert out.fps == 48
    assert torch.equal(out.tensor[::2], clip.tensor)
    mean = (clip.tensor[0].float() + clip.tensor[1].float()) / 2
    assert (out.tensor[1].float() - mean).abs().max() <= 0.5
    assert torch.equal(out.tensor[7], clip.tensor[3])


@pytest.mark.parametrize(
    ("params", "length", "fps"),
    [
        ({}, 20, Fraction(48)),
        ({"factor": 2.5}, 25, Fraction(60)),
        ({"factor": "1/2"}, 5, Fraction(12)),
        ({"fps": 24}, 10, Fraction(24)),
        ({"fps": "30000/1001"}, 13, Fraction(30000, 1001)),
        ({"fps": 29.97}, 13, Fraction(2997, 100)),
    ],
)
def test_length_and_rate_are_exact(params: dict[str, float | str], length: int, fps: Fraction) -> None:
    operator = Interpolate(**params)
    assert operator.output_info({"frames": StreamInfo(10, Fraction(24))}) == StreamInfo(length, fps)
    out = operator.run(RunContext(), frames=moving_clip(10))
    assert (out.num_frames, out.fps) == (length, fps)


def test_geometry_does_not_depend_on_where_a_chunk_lies() -> None:
    operator = Interpolate(factor=2)
    info = {"frames": StreamInfo(1000, Fraction(24))}
    near, far = operator.reads(16, 32, info), operator.reads(160, 176, info)
    assert near.geometry == far.geometry
    assert near.ports["frames"] == (8, 17)
    assert far.ports["frames"] == (80, 89)


def test_frames_without_a_rate_take_a_factor_but_no_fps() -> None:
    clip = replace(moving_clip(3), fps=None)
    out = Interpolate(factor=3).run(RunContext(), frames=clip)
    assert (out.num_frames, out.fps) == (9, None)
    with pytest.raises(RequestError, match=r"params\.fps needs frames with a rate"):
        Interpolate(fps=30).run(RunContext(), frames=clip)


def test_mistakes_are_named() -> None:
    (fault,) = Interpolate(factor=2, fps=30).check({})
    assert str(fault) == "params.factor: beside fps; expected factor or fps; given factor 2, fps 30"
    for value in ("fast", "1/0", -3, 0, float("nan"), float("inf"), 1e9):
        with pytest.raises(ValidationError, match="expected a"):
            Interpolate(fps=value)


def test_planning_needs_no_torch() -> None:
    code = (
        "import sys; from fractions import Fraction; from flowsynth.core.streams import StreamInfo\n"
        "from flowsynth.operators.timing.interpolate import Interpolate\n"
        "info = {'frames': StreamInfo(10, Fraction(24))}; op = Interpolate(fps=30)\n"
        "op.output_info(info); op.reads(0, 4, info); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_rate_that_stays_needs_no_network() -> None:
    clip = moving_clip(4)
    operator = Interpolate(method="rife", factor=1)
    assert operator.files(RunContext()) == {}
    assert torch.equal(operator.run(RunContext(), frames=clip).tensor, clip.tensor)
    assert operator.resolve(RunContext(offline=True), fetch=True) is operator
