"""Watercolour: thin washes with dark rims and turbulent pigment on paper."""

import torch
from torch import Tensor
from torch.nn import functional as F

from flowsynth.functional.picture.blur import gaussian_blur
from flowsynth.functional.picture.color import rgb_to_ycc, saturate, soft_steps, ycc_to_rgb
from flowsynth.functional.picture.warp import pixel_grid, sample_at
from flowsynth.functional.style.bilateral import bilateral
from flowsynth.functional.style.flatten import flatten
from flowsynth.functional.style.planes import (
    bicubic_enlarged,
    detail,
    enlarged,
    reduced,
    short_side,
    stacked,
    units,
)
from flowsynth.functional.style.texture import paper_grain, value_noise

__all__ = ["watercolor"]


def watercolor(
    frames: Tensor, *, wetness: float = 1.0, rims: float = 1.0, grain: float = 1.0, saturation: float = 1.45
) -> Tensor:
    """Render frames as a watercolour (after Bousseau et al. 2006).

    Flattened washes waver along the paper's grain, their colours bleed a little, pigment gathers at their
    rims, and its density follows slow turbulence and the grain, more in dark washes. Grain and wavering are
    fixed to the sheet.

    Args:
        frames: `(T, 3, H, W)` in [0, 1].
        wetness: how far washes flatten and waver.
        rims: strength of the darkened edges.
        grain: strength of the paper's texture.
        saturation: gain on chroma.

    Returns:
        `(T, 3, H, W)` in [0, 1].
    """
    ycc = rgb_to_ycc(frames)
    wash = bicubic_enlarged(_wash(reduced(ycc, 360), wetness), ycc)
    base = wash[:, :1].clamp(0, 1)
    lost, weight = detail(ycc[:, :1], base, max(0.5, 0.15 * units(ycc)), 0.11, 0.22)
    tone = (base + 0.8 * lost * weight).clamp(0, 1)
    chroma = wash[:, 1:] + 0.6 * weight * (ycc[:, 1:] - wash[:, 1:])
    tone = 0.65 * tone + 0.35 * soft_steps(tone, 6, sharpness=2.5)
    tone = 0.10 + 0.90 * tone**0.8  # washes are thin: the paper shines through
    colour = ycc_to_rgb(saturate(stacked(tone, chroma), saturation)).clamp(0, 1)
    density, paper = _pigment(reduced(tone, 540), rims, grain)
    # C' = C - (C - C^2)(d - 1), Bousseau et al. 2006, eq. 1.
    painted = colour - (colour - colour.square()) * enlarged(density, colour)
    return (painted - 0.02 * grain * (1 + enlarged(paper, colour))).clamp(0, 1)


def _wash(small: Tensor, wetness: float) -> Tensor:
    """Bring a reduced picture (Y, Cb, Cr) to washes that waver, with colours that bleed."""
    unit = units(small)
    wash = torch.lerp(small, _without_specks(small, max(1, round(1.2 * unit))), 0.85)
    wash = bilateral(wash, short_side(small) / 180, 0.06 * wetness, 2)
    wash = flatten(wash, 0.009 * wetness)
    wash = stacked(wash[:, :1], torch.lerp(wash[:, 1:], gaussian_blur(wash[:, 1:], 0.9 * unit), 0.4))
    height, width = wash.shape[-2:]
    shift = [
        0.7 * value_noise(height, width, max(1.0, 5 * unit), seed, wash.device)
        + 0.3 * value_noise(height, width, max(1.0, 1.5 * unit), seed + 40, wash.device)
        for seed in (11, 12)
    ]
    return sample_at(wash, pixel_grid(wash) + 0.38 * unit * wetness * torch.cat(shift, dim=1))


def _without_specks(x: Tensor, radius: int) -> Tensor:
    """Open, then close each plane by a square: bright and dark things below its size go, edges stay."""
    side = 2 * radius + 1

    def most(plane: Tensor) -> Tensor:
        return F.max_pool2d(plane, side, 1, radius)

    return -most(-most(most(-most(-x))))


def _pigment(tone: Tensor, rims: float, grain: float) -> tuple[Tensor, Tensor]:
    """Return what is added to the pigment's density, and the paper's grain, for a plane of tones."""
    unit, (height, width) = units(tone), tone.shape[-2:]
    fine = gaussian_blur(tone, max(0.6, 0.12 * unit))
    near, far = (gaussian_blur(tone, reach * unit) - fine for reach in (max(0.9 / unit, 0.45), 1.5))
    rim = 0.8 * torch.tanh(11 * near.clamp(min=0)) + 0.45 * torch.tanh(5 * far.clamp(min=0))
    slow, quick = (
        value_noise(height, width, max(1.0, c * unit), s, tone.device) for c, s in ((22, 3), (8, 4))
    )
    paper = paper_grain(height, width, max(1.5, 1.1 * unit**0.7), tone.device)
    dark = 1 - tone
    turbulence = (0.48 * slow + 0.32 * quick) * (0.12 + 0.32 * dark)
    return 1.25 * rims * rim + turbulence + grain * paper * (0.04 + 0.18 * dark), paper
