"""Cuts between shots, told from motion."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from flowsynth.functional.cut.threshold import CUT
from flowsynth.functional.motion.displacement import displacement, overlap
from flowsynth.functional.motion.optical_flow import classical_flow, occlusion, warp
from flowsynth.functional.picture.color import luma
from flowsynth.values.frames import as_float, as_rgb

__all__ = ["same_shot", "shots", "similarity"]

_SIDE = 96  # longer side at which motion is followed, pixels
_SMALL = 32  # side of what is compared by structure
_WINDOW = 7
#: Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004.
_C1, _C2 = 0.01**2, 0.03**2
#: Frames this similar as they are need no motion to be told as one shot.
_CALM = 0.8
#: Frames less similar than this, motion followed, are two shots although nothing moves: a black frame.
_STRANGE = 0.25
#: Once frames are moved over each other as a whole, so much must be seen in both: less comes by chance.
_ALIGNED = 0.5


def similarity(first: Tensor, second: Tensor) -> Tensor:
    """Structural similarity of frames reduced to 32x32 luma.

    Args:
        first: (N, 3, H, W) in [0, 1].
        second: alike.

    Returns:
        (N,) in [-1, 1]; 1 for equal frames.
    """
    a, b = (_reduced(frame) for frame in (first, second))
    mean_a, mean_b = _mean(a), _mean(b)
    var_a, var_b = _mean(a * a) - mean_a**2, _mean(b * b) - mean_b**2
    both = _mean(a * b) - mean_a * mean_b
    light = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    structure = (2 * both + _C2) / (var_a + var_b + _C2)
    return (light * structure).mean((1, 2, 3))


def same_shot(first: Tensor, second: Tensor, threshold: float = CUT) -> bool:
    """Tell whether two neighbouring frames belong to one shot.

    They do if most of each is visible in the other: if the motion from the one to the other and the motion
    back agree there. Between unrelated pictures motion is found too, and may even make them look alike, but
    there and back it agrees in a quarter of the picture at most. Motion is estimated without a network; where
    it is too fast for that (a pan, a scroll), the frames are first moved over each other as a whole.

    Args:
        first: `(1, C, H, W)`, uint8 or floating point in [0, 1], grey, RGB or RGBA.
        second: alike.
        threshold: share of the picture from which frames belong together; 0 or less: always.
    """
    if threshold <= 0:
        return True
    a, b = (_small(frame) for frame in (first, second))
    if float(similarity(a, b)) >= _CALM:
        return True
    share, alike = _visible(a, b)
    if share >= threshold:
        return alike >= _STRANGE
    moved = overlap(a, b, *displacement(a, b))
    if moved is None:
        return False
    share, alike = _visible(*moved)
    return share >= max(threshold, _ALIGNED) and alike >= _STRANGE


def shots(frames: Tensor, threshold: float = CUT) -> list[range]:
    """Divide a clip `(L, C, H, W)` at its cuts; see `same_shot`."""
    cuts = [
        after
        for before, after in pairwise(range(len(frames)))
        if not same_shot(frames[before : before + 1], frames[after : after + 1], threshold)
    ]
    return [range(start, stop) for start, stop in pairwise([0, *cuts, len(frames)])]


def _visible(a: Tensor, b: Tensor) -> tuple[float, float]:
    """Return the smaller share that one frame shows of the other, and how alike they are on one another."""
    there, back = classical_flow(torch.cat((a, b)), torch.cat((b, a))).split(1)
    hidden = max(float(occlusion(there, back).mean()), float(occlusion(back, there).mean()))
    return 1 - hidden, float(similarity(a, warp(b, there)))


def _small(frame: Tensor) -> Tensor:
    """Bring a frame to float RGB, no longer than `_SIDE`."""
    rgb = as_float(as_rgb(frame))
    height, width = rgb.shape[-2:]
    scale = _SIDE / max(height, width)
    if scale >= 1:
        return rgb
    size = max(1, round(height * scale)), max(1, round(width * scale))
    return F.interpolate(rgb, size=size, mode="area")


def _reduced(frame: Tensor) -> Tensor:
    return F.interpolate(luma(frame), size=(_SMALL, _SMALL), mode="area")


def _mean(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, _WINDOW, stride=1)
