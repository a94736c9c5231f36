"""Smoothing along motion: each pair of frames is looked at once, and that changes no bit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from flowsynth.functional.motion import flow_smooth
from flowsynth.functional.motion.flow_smooth import Motion, along_motion
from flowsynth.functional.motion.optical_flow import classical_flow


def clip(length: int) -> Tensor:
    wide = torch.rand(1, 3, 40, 60 + 3 * length, generator=torch.Generator().manual_seed(2))
    wide = torch.nn.functional.avg_pool2d(wide, 5, stride=1, padding=2)
    return torch.cat([wide[..., 3 * i : 3 * i + 60] for i in range(length)])


@pytest.mark.parametrize("radius", [1, 2])
@pytest.mark.parametrize("side", [0, 30])
def test_a_pair_s_motion_is_estimated_once(radius: int, side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    frames, asked = clip(6), []

    def estimate(first: Tensor, second: Tensor) -> Tensor:
        asked.append(len(first))
        return classical_flow(first, second)

    def smoothed() -> Tensor:
        asked.clear()
        return along_motion(frames, 0, 6, radius=radius, motion=Motion(frames, estimate, side))

    kept = smoothed()
    pairs = sum(min(radius, 5 - i) for i in range(6))
    assert asked == [2] * pairs
    monkeypatch.setattr(flow_smooth, "_MOST_PAIRS", 0)
    assert torch.equal(smoothed(), kept)
    assert len(asked) == 2 * pairs


def test_a_flow_that_leads_astray_is_not_trusted() -> None:
    """A flow that agrees with its way back and is wrong in a part: the frames show that it is."""
    frames = clip(2)

    def partly(first: Tensor, second: Tensor) -> Tensor:
        flow = torch.zeros(len(first), 2, *second.shape[-2:])
        flow[:, 0] = torch.tensor([-3.0, 3.0])[:, None, None]
        flow[..., 40:] = 0
        return flow

    averaged = along_motion(frames, 0, 1, radius=1, motion=Motion(frames, partly))[0]
    wrong = (averaged - frames[0])[..., 40:].abs().mean()
    assert wrong < 0.8 * (frames[1] - frames[0])[..., 40:].abs().mean() / 2


def test_flicker_is_no_sign_of_a_wrong_flow() -> None:
    def still(first: Tensor, second: Tensor) -> Tensor:
        return torch.zeros(len(first), 2, *second.shape[-2:])

    one = clip(1)
    frames = torch.cat([one, one * 0.8 + 0.1])
    mixed = along_motion(frames, 0, 1, radius=1, motion=Motion(frames, still))
    assert (mixed[0] - frames.mean(0)).abs().mean() < 0.1 * (frames[1] - frames[0]).abs().mean()
