"""Steadier light and colour of areas: a clip's broad distance from its guide is averaged along time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from flowsynth.functional.motion.optical_flow import occlusion, warp
from flowsynth.functional.motion.smooth import neighbours
from flowsynth.functional.picture.blur import gaussian_blur
from flowsynth.functional.picture.color import luma
from flowsynth.values.frames import as_float

__all__ = ["Pair", "plane_size", "steadied"]

#: Flow from a frame to the next one and back, each `(1, 2, h, w)`, on the plane, by the first one's index.
Pair = Callable[[int], tuple[Tensor, Tensor]]
_SIDE = 96  # longer side of the plane, pixels, and
_LEAST = 4  # pixels of a frame to one of the plane, at least: what is finer is no area
_TOLERANCE = 0.05  # difference of the guide from where a flow leads that halves trust, roughly


def plane_size(height: int, width: int) -> tuple[int, int]:
    """Return the size of the plane that is worked on, for frames of a size."""
    scale = min(1 / _LEAST, _SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def steadied(
    frames: Tensor, guide: Tensor, own: Tensor, start: int, stop: int, *, radius: int, pair: Pair
) -> Tensor:
    """Put steadier broad tones and colours in the place of a smoothed clip's.

    A drawing darkens or lightens whole areas a little, now more, now less. On a plane of few pixels the
    distance of the clip to its guide, D = reduced(frames - guide), is averaged over many neighbours along the
    motion, and what is broad in `own` is exchanged for it. What the guide itself does in brightness stays.
    The motion to far neighbours is put together from frame to frame, which costs next to nothing; its errors
    add up, but shift only what is broad.

    Args:
        frames: `(L, C, H, W)`, uint8 or floating point in [0, 1], the halo included.
        guide: `(L, 3, H, W)`, frames with the same motion; `frames` themselves: their own tones are averaged.
        own: `(stop - start, C, H, W)`, the frames asked for, smoothed otherwise.
        start: first frame to give back, an index into `frames`.
        stop: end of the frames to give back.
        radius: neighbours on either side.
        pair: flow between neighbours.

    Returns:
        Like `own`.
    """
    size = plane_size(*frames.shape[-2:])
    colours = frames[:, :3] if frames.shape[1] >= 3 else frames[:, :1]
    seen = torch.cat([_reduced(frame, size) for frame in guide.split(1)])
    far = torch.cat([_reduced(frame, size) for frame in colours.split(1)])
    if guide is not frames:
        far = far - (seen if far.shape[1] == 3 else luma(seen))
    out = own.clone()
    for row, target in enumerate(range(start, stop)):
        even = _averaged(far, seen, target, radius, pair)
        before = _reduced(colours[target : target + 1], size)
        part = out[row : row + 1, : far.shape[1]]
        change = even - far[target : target + 1] - (_reduced(part, size) - before)
        part += F.interpolate(change, size=own.shape[-2:], mode="bilinear", align_corners=False)
    return out


def _averaged(far: Tensor, seen: Tensor, target: int, radius: int, pair: Pair) -> Tensor:
    """Return the mean of a plane and its neighbours, warped onto it, where they show the same."""
    total = far[target : target + 1].clone()
    weight = torch.ones_like(total[:, :1])
    for way in (-1, 1):
        there = back = None
        for other in neighbours(target, radius, len(far))[target - max(0, target - radius) :: way][1:]:
            there, back = _onward(there, back, other - way, way, pair)
            trust = _trust(seen[target : target + 1], seen[other : other + 1], there, back)
            total = total + trust * warp(far[other : other + 1], there)
            weight = weight + trust
    return total / weight


def _onward(
    there: Tensor | None, back: Tensor | None, last: int, way: int, pair: Pair
) -> tuple[Tensor, Tensor]:
    """Lengthen the flows between the target and the frame `last` by one frame."""
    ahead, behind = pair(last) if way > 0 else pair(last - 1)[::-1]
    if there is None or back is None:
        return ahead, behind
    return there + warp(ahead, there), behind + warp(back, behind)


def _trust(own: Tensor, other: Tensor, there: Tensor, back: Tensor) -> Tensor:
    """Return how far to trust that two planes show the same along a flow, 0 to 1."""
    gap = (warp(other, there) - own).square().mean(dim=1, keepdim=True)
    return (1 - occlusion(there, back)) * torch.exp(-gaussian_blur(gap, 1.0) / (2 * _TOLERANCE**2))


def _reduced(picture: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(as_float(picture), size=size, mode="bilinear", antialias=True, align_corners=False)
