"""Smoothing at the edges: cuts, black frames, clips of one and two frames, small and odd pictures."""

from typing import Any

import pytest
import torch
from torch import Tensor

from flowsynth.core.context import RunContext
from flowsynth.operators.motion.temporal_smooth import TemporalSmooth
from flowsynth.values import Frames
from tests.operators.chunked import run_by_chunks
from tests.operators.conftest import moving_clip

FASTBLEND: dict[str, Any] = {"method": "fastblend", "patch": 3, "iterations": 2, "detail": 0}
BALANCED = FASTBLEND | {"mode": "balanced"}
FLOW: dict[str, Any] = {"method": "flow", "detail": 0}
every_method = pytest.mark.parametrize(
    "params",
    [FASTBLEND, BALANCED, FLOW, {"method": "gaussian"}, {"method": "histogram"}],
    ids=["fastblend", "balanced", "flow", "gaussian", "histogram"],
)


def two_shots(
    pictures: dict[str, Tensor], first: int, second: int, gain: float = 0.06, size: tuple[int, int] = (24, 32)
) -> Frames:
    """A flickering clip with one cut."""
    height, width = size
    parts = []
    for name, length in (("astronaut", first), ("chelsea", second)):
        picture = pictures[name]
        parts += [
            picture[:, :, 30 : 30 + height, 2 * t : 2 * t + width] * (1 - gain * (t % 2))
            for t in range(length)
        ]
    return Frames(torch.cat(parts))


def part(clip: Frames, start: int, stop: int) -> Frames:
    return clip.with_data(clip.tensor[start:stop])


def smooth(clip: Frames, guide: Frames | None = None, **params: Any) -> Tensor:
    return TemporalSmooth(**params).run(RunContext(), frames=clip, guide=guide).tensor


@pytest.mark.sample(1)
@every_method
def test_each_shot_is_smoothed_as_if_it_were_alone(
    pictures: dict[str, Tensor], params: dict[str, Any]
) -> None:
    clip = two_shots(pictures, 5, 4)
    together = smooth(clip, radius=3, **params)
    for start, stop in ((0, 5), (5, 9)):
        alone = smooth(part(clip, start, stop), radius=3, **params)
        # The blocks of fastblend's tree lie elsewhere in a clip of its own: the same frames, other fields.
        tolerance = 0.05 if params is FASTBLEND else 0
        assert (together[start:stop] - alone).abs().mean() <= tolerance * 0.2
        assert not torch.equal(alone, clip.tensor[start:stop])
    assert not torch.equal(smooth(clip, radius=3, cut=0, **params), together)


@pytest.mark.sample(1)
@pytest.mark.parametrize("params", [FASTBLEND, BALANCED, FLOW], ids=["fastblend", "balanced", "flow"])
@pytest.mark.parametrize("chunk", [1, 4])
def test_chunks_around_a_cut_give_the_bits_of_the_whole(
    pictures: dict[str, Tensor], params: dict[str, Any], chunk: int
) -> None:
    clip = two_shots(pictures, 6, 5)
    operator = TemporalSmooth(radius=3, **params)
    whole = operator.run(RunContext(), frames=clip)
    assert torch.equal(run_by_chunks(operator, clip, chunk).tensor, whole.tensor)


def test_the_guide_says_where_the_cut_is(pictures: dict[str, Tensor]) -> None:
    guide = two_shots(pictures, 4, 4)
    frames = guide.with_data(torch.full_like(guide.tensor, 0.5))
    frames.tensor[4:] = 0.6  # a rendering in which the two shots look almost alike
    for params in (FASTBLEND, FLOW):
        out = smooth(frames, guide, radius=3, **params)
        torch.testing.assert_close(out, frames.tensor, atol=1e-5, rtol=0)
    assert (smooth(frames, radius=3, **FASTBLEND)[3] > 0.51).all()


@every_method
def test_a_black_frame_stays_black_and_darkens_no_other(
    pictures: dict[str, Tensor], params: dict[str, Any]
) -> None:
    clip = two_shots(pictures, 6, 0, gain=0, size=(40, 48))
    clip.tensor[3] = 0
    out = smooth(clip, radius=3, **params)
    assert out.isfinite().all()
    assert out[3].max() < 1e-6
    for t in (2, 4):
        assert (out[t].mean() - clip.tensor[t].mean()).abs() < 0.01


@every_method
@pytest.mark.parametrize("length", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (2, 9), (9, 9), (23, 31)])
def test_short_clips_of_small_pictures(params: dict[str, Any], length: int, size: tuple[int, int]) -> None:
    clip = moving_clip(length, *size)
    operator = TemporalSmooth(radius=4, **{**params, "patch": 7})  # sides below two patches
    out = operator.run(RunContext(), frames=clip)
    assert out.tensor.shape == clip.tensor.shape
    if length == 1:
        assert torch.equal(out.tensor, clip.tensor)


@pytest.mark.sample(1)
@pytest.mark.parametrize("mode", ["fast", "balanced", "accurate"])
@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("tracking", [False, True])
def test_modes_by_channels_and_tracking(mode: str, channels: int, tracking: bool) -> None:
    clip = moving_clip(5, 13, 17, channels=channels)
    operator = TemporalSmooth(radius=2, tracking=tracking, **{**FASTBLEND, "mode": mode})
    whole = operator.run(RunContext(), frames=clip)
    assert torch.equal(run_by_chunks(operator, clip, 2).tensor, whole.tensor)
    assert torch.equal(operator.run(RunContext(), frames=clip).tensor, whole.tensor)
