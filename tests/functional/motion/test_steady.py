"""Broad tones are evened out along the motion, by what the guide does not do itself."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from flowsynth.functional.motion.flow_smooth import Motion
from flowsynth.functional.motion.optical_flow import classical_flow
from flowsynth.functional.motion.steady import steadied

LENGTH = 7


def guide() -> Tensor:
    """A pan by two pixels a frame over soft texture, `(7, 3, 48, 96)`."""
    wide = torch.rand(1, 3, 12, 30, generator=torch.Generator().manual_seed(3))
    wide = F.interpolate(wide, size=(48, 120), mode="bicubic").clamp(0, 1) * 0.6 + 0.2
    return torch.cat([wide[..., 2 * i : 2 * i + 96] for i in range(LENGTH)])


def even(frames: Tensor, seen: Tensor, start: int = 0, stop: int = LENGTH) -> Tensor:
    motion = Motion(seen, classical_flow)
    return steadied(frames, seen, frames[start:stop], start, stop, radius=4, pair=motion.onward)


def spread(clip: Tensor) -> float:
    """How far the mean of a clip's frames changes from one to the next."""
    return float(clip.mean((1, 2, 3)).diff().abs().mean())


def test_areas_that_lighten_and_darken_are_evened_out() -> None:
    seen = guide()
    flickers = seen + 0.04 * torch.tensor([1.0, -1, 0.5, -0.5, 1, -1, 0.2]).view(-1, 1, 1, 1)
    assert spread(even(flickers, seen) - seen) < 0.25 * spread(flickers - seen)


def test_fine_detail_and_the_guide_s_own_light_stay() -> None:
    light = torch.linspace(-0.1, 0.1, LENGTH).view(-1, 1, 1, 1)
    seen = (guide() + light).clamp(0, 1)
    strokes = torch.zeros_like(seen)
    strokes[..., ::2, ::2], strokes[..., 1::2, ::2] = 0.05, -0.05
    drawn = seen + strokes
    assert (even(drawn, seen) - drawn).abs().max() < 0.01


def test_what_moves_otherwise_than_it_is_followed_leaves_no_trace() -> None:
    """A flow that is wrong everywhere: the guide shows that it is, and the clip stays as it is."""
    seen = torch.rand(LENGTH, 3, 48, 96, generator=torch.Generator().manual_seed(4)).round()
    seen = F.avg_pool2d(seen, 9, 1, 4)
    frames = (seen * 0.5 + 0.2 * torch.rand(LENGTH, 1, 1, 1)).contiguous()

    def wild(first: Tensor, second: Tensor) -> Tensor:
        return torch.full((len(first), 2, *first.shape[-2:]), 60.0)

    out = steadied(frames, seen, frames, 0, LENGTH, radius=4, pair=Motion(seen, wild).onward)
    assert torch.equal(out, frames)


def test_a_clip_cut_anywhere_gives_the_same_bits() -> None:
    seen = guide()
    frames = (seen + 0.03 * torch.rand(LENGTH, 3, 1, 1)).clamp(0, 1)
    whole = even(frames, seen)
    assert torch.equal(even(frames[1:], seen[1:], 4, 6), whole[5:7])
