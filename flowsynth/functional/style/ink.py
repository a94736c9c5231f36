"""Ink lines: extended difference of Gaussians along the local flow."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from flowsynth.functional.picture.blur import gaussian_blur
from flowsynth.functional.picture.structure import orientation, smooth_along

__all__ = ["ink_lines", "line_width"]


def line_width(short_side: int) -> float:
    """Return the line's spread in pixels for a frame: 0.6 at 144, about 2.5 at 1080."""
    return 0.6 * math.pow(short_side / 144, 0.7)


def ink_lines(
    tone: Tensor, sigma: float, *, sharpness: float = 20.0, threshold: float = 0.0, emphasis: float = 1.0
) -> Tensor:
    """Draw dark lines where tone dips, as XDoG does (Winnemoeller, Kyprianidis and Olsen 2012).

    D = G_sigma - G_{1.6 sigma} is smoothed along the edges' flow, which joins broken strokes and steadies
    them in time, then passed through a tanh ramp.

    Args:
        tone: `(N, 1, H, W)` luma in [0, 1].
        sigma: half width of a line in pixels.
        sharpness: slope of the ramp from paper to ink.
        threshold: D below which ink starts, at most 0 (0.01 is one percent of the tone range).
        emphasis: gain on D.

    Returns:
        `(N, 1, H, W)`, 1 on paper and 0 in full ink.
    """
    tangent = orientation(gaussian_blur(tone, sigma), 2 * sigma).tangent
    factor = 2 if sigma < 1.0 else 1  # thin lines are drawn at twice the size, else they alias
    if factor == 2:
        tone = F.interpolate(tone, scale_factor=2, mode="bilinear", align_corners=False)
        tangent = F.interpolate(tangent, scale_factor=2, mode="nearest")  # signs are free: not to be mixed
    spread = sigma * factor
    difference = gaussian_blur(tone, spread) - gaussian_blur(tone, 1.6 * spread)
    difference = smooth_along(difference, tangent, 2.0 * spread, step=max(1.0, spread / 1.5))
    lines = 1 + torch.tanh(sharpness * (emphasis * difference + threshold).clamp(max=0))
    return F.avg_pool2d(lines, factor) if factor == 2 else lines
