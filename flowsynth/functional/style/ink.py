"""Ink lines: differences of Gaussians at two scales, one crisp, one drawn along the forms."""

import math

import torch
from torch import Tensor

from flowsynth.functional.picture.blur import gaussian_blur
from flowsynth.functional.picture.structure import orientation, smooth_along, sobel
from flowsynth.functional.picture.tone import smoothstep
from flowsynth.functional.style.planes import enlarged, reduced, short_side

__all__ = ["Pen", "difference", "ink"]

_PLANE = 540  # short side at which lines are drawn along the forms


class Pen:
    """How lines are drawn.

    Attributes:
        fine: sigma in pixels of the crisp lines, for a short side of 1080 and with its square root.
        gains: slope of the ramps from paper to ink, crisp and long.
        offsets: difference at which ink starts, crisp and long.
        doubt: what is added to the crisp offset where the simplified picture has no edge.
    """

    def __init__(
        self, fine: float, gains: tuple[float, float], offsets: tuple[float, float], doubt: float
    ) -> None:
        self.fine, self.gains, self.offsets, self.doubt = fine, gains, offsets, doubt


def difference(tone: Tensor, sigma: float) -> Tensor:
    """Return how far a plane dips below its surroundings: G_{1.6 sigma} - G_sigma."""
    return gaussian_blur(tone, 1.6 * sigma) - gaussian_blur(tone, sigma)


def ink(tone: Tensor, flat: Tensor, pen: Pen, scale: float = 1.0) -> Tensor:
    """Draw dark lines where tone dips, after XDoG (Winnemoeller, Kyprianidis and Olsen 2012).

    Two kinds of line, of which the stronger shows: crisp ones of the picture itself, held back where the
    simplified picture has no edge, and long ones of the simplified picture, smoothed along the forms, which
    joins broken strokes and steadies them in time.

    Args:
        tone: `(N, 1, H, W)` luma in [0, 1].
        flat: `(N, 1, h, w)` luma of the simplified picture, at its working size.
        pen: widths, gains and thresholds.
        scale: of the widths.

    Returns:
        `(N, 1, H, W)`, 0 on paper and 1 in full ink.
    """
    sigma = max(0.6, pen.fine * math.sqrt(short_side(tone) / 1080)) * scale
    gx, gy = sobel(flat)
    sure = smoothstep(enlarged((gx.square() + gy.square()).sqrt(), tone), 0.012, 0.04)
    crisp = _ramp(difference(tone, sigma) - pen.offsets[0] - pen.doubt * (1 - sure), pen.gains[0])
    plane = reduced(flat, _PLANE)
    sigma = max(0.7, 1.35 * math.sqrt(short_side(plane) / _PLANE)) * scale
    tangent = orientation(plane, 2 * sigma).tangent
    long = smooth_along(difference(plane, sigma), tangent, 2 * sigma, step=max(1.0, sigma / 1.5))
    long = _ramp(enlarged(long, tone) - pen.offsets[1], pen.gains[1])
    return torch.tanh(torch.maximum(crisp, long).clamp(min=0))


def _ramp(dip: Tensor, gain: float) -> Tensor:
    """Go from paper to ink, by `gain`, but over no less than about a pixel.

    A steeper border would fall on whole pixels: it would alias, and as much of a line would be ink as lies
    well to the grid of pixels, another part in every frame of a pan.
    """
    across, down = sobel(dip)
    return dip * gain / (1 + gain**2 * (across.square() + down.square())).sqrt()
