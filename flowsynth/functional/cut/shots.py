"""Cuts between shots, told from motion."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor
from torch.nn import functional as F

from flowsynth.functional.motion.optical_flow import classical_flow, warp
from flowsynth.functional.picture.color import luma
from flowsynth.values.frames import as_float

__all__ = ["same_shot", "shots", "similarity"]

_SIDE = 32  # motion of a few percent of the picture hardly shows at this size, another shot does
_WINDOW = 7
#: Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004.
_C1, _C2 = 0.01**2, 0.03**2
#: Frames this similar as they are need no motion to be told as one shot.
_CALM = 0.7
_FLOW_SIDE = 192  # longer side at which motion is estimated, pixels: enough for what is judged at 32


def similarity(first: Tensor, second: Tensor) -> Tensor:
    """Structural similarity of frames reduced to 32x32 luma.

    Of frames that were warped onto each other it is above .7 within a shot and below .35 across a cut
    (measured on footage with fast hand-held motion).

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


def same_shot(first: Tensor, second: Tensor, threshold: float) -> bool:
    """Tell whether two neighbouring frames belong to one shot.

    They do if they are alike as they are, or once the second is warped onto the first along the motion
    between them, which is estimated without a network.

    Args:
        first: `(1, C, H, W)`, uint8 or floating point in [0, 1], grey, RGB or RGBA.
        second: alike.
        threshold: similarity from which frames belong together; 0 or less: always.
    """
    if threshold <= 0:
        return True
    a, b = (_small(frame) for frame in (first, second))
    if float(similarity(a, b)) >= max(_CALM, threshold):
        return True
    return float(similarity(a, warp(b, classical_flow(a, b)))) >= threshold


def shots(frames: Tensor, threshold: float) -> list[range]:
    """Divide a clip `(L, C, H, W)` at its cuts; see `same_shot`."""
    cuts = [
        after
        for before, after in pairwise(range(len(frames)))
        if not same_shot(frames[before : before + 1], frames[after : after + 1], threshold)
    ]
    return [range(start, stop) for start, stop in pairwise([0, *cuts, len(frames)])]


def _small(frame: Tensor) -> Tensor:
    """Bring a frame to float RGB, no longer than `_FLOW_SIDE`."""
    rgb = as_float(frame[:, :3])
    rgb = rgb.expand(-1, 3, -1, -1) if rgb.shape[1] == 1 else rgb
    height, width = rgb.shape[-2:]
    scale = _FLOW_SIDE / max(height, width)
    if scale >= 1:
        return rgb
    size = max(1, round(height * scale)), max(1, round(width * scale))
    return F.interpolate(rgb, size=size, mode="area")


def _reduced(frame: Tensor) -> Tensor:
    return F.interpolate(luma(frame), size=(_SIDE, _SIDE), mode="area")


def _mean(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, _WINDOW, stride=1)
