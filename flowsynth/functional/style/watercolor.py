"""Watercolour: thin washes with dark rims on grained paper."""

import torch
from torch import Tensor

from flowsynth.functional.picture.blur import gaussian_blur
from flowsynth.functional.picture.color import rgb_to_ycc, saturate, soft_steps, ycc_to_rgb
from flowsynth.functional.picture.warp import pixel_grid, sample_at
from flowsynth.functional.style.bilateral import smooth_edges_kept
from flowsynth.functional.style.texture import paper_grain, value_noise

__all__ = ["watercolor"]


def watercolor(
    frames: Tensor, *, wetness: float = 1.0, rims: float = 1.0, grain: float = 1.0, saturation: float = 1.25
) -> Tensor:
    """Render frames as a watercolour (after Bousseau et al. 2006).

    Flattened washes waver along the paper's grain, pigment gathers at their rims, and its density follows
    slow turbulence and the grain. Grain and wavering are fixed to the sheet.

    Args:
        frames: `(T, 3, H, W)` in [0, 1].
        wetness: how far washes flatten and waver.
        rims: strength of the darkened edges.
        grain: strength of the paper's texture.
        saturation: gain on chroma.

    Returns:
        `(T, 3, H, W)` in [0, 1].
    """
    height, width = frames.shape[-2:]
    unit = max(1.0, min(height, width) / 144)
    ycc = rgb_to_ycc(frames)
    wash = smooth_edges_kept(ycc, strength=0.95 * wetness, iterations=3)
    wash = sample_at(wash, _waver(wash, 0.6 * unit * wetness, 8 * unit))
    tone = 0.5 * wash[:, :1] + 0.5 * soft_steps(wash[:, :1], 6, sharpness=2.5)
    tone = 0.15 + 0.85 * tone.clamp(0, 1) ** 0.85  # washes are thin: the paper shines through
    colour = ycc_to_rgb(saturate(torch.cat((tone, wash[:, 1:]), dim=1), saturation)).clamp(0, 1)
    paper = paper_grain(height, width, 1.6 * unit**0.7, frames.device)
    turbulence = value_noise(height, width, 22 * unit, 3, frames.device)
    density = 1 + rims * _rims(tone, unit) + 0.17 * grain * paper + 0.25 * turbulence
    return (_dilute(colour, density) - 0.02 * grain * (1 + paper)).clamp(0, 1)


def _dilute(colour: Tensor, density: Tensor) -> Tensor:
    """Change the pigment's density: C' = C - (C - C^2)(d - 1), Bousseau et al. 2006, eq. 1."""
    return colour - (colour - colour.square()) * (density - 1)


def _rims(tone: Tensor, unit: float) -> Tensor:
    """Return extra density at the borders of washes, on their darker side most."""
    fine = gaussian_blur(tone, 0.7 * unit)
    wide = gaussian_blur(tone, 2.2 * unit)
    return torch.tanh(9 * (wide - fine)).clamp(min=0) + 0.3 * torch.tanh(9 * (fine - wide).abs())


def _waver(like: Tensor, reach: float, cell: float) -> Tensor:
    """Return reading positions shifted by up to `reach` pixels of slow noise."""
    height, width = like.shape[-2:]
    shift = [value_noise(height, width, cell, seed, like.device) for seed in (11, 12)]
    return pixel_grid(like) + reach * torch.cat(shift, dim=1)
