"""Cel shading: flat regions, few tones, ink lines."""

import torch
from torch import Tensor

from flowsynth.functional.picture.color import rgb_to_ycc, saturate, soft_steps, ycc_to_rgb
from flowsynth.functional.picture.structure import orientation, smooth_along
from flowsynth.functional.style.bilateral import smooth_edges_kept
from flowsynth.functional.style.ink import ink_lines, line_width

__all__ = ["toon"]


def toon(
    frames: Tensor,
    *,
    levels: int = 6,
    smoothing: float = 1.0,
    saturation: float = 1.5,
    ink: float = 0.85,
    line_scale: float = 1.0,
) -> Tensor:
    """Render frames as a cartoon (the abstraction of Winnemoeller, Olsen and Gooch 2006).

    Args:
        frames: `(T, 3, H, W)` in [0, 1].
        levels: tone steps from black to white.
        smoothing: how wide a range of colour counts as one region; 1 is the default look.
        saturation: gain on chroma.
        ink: strength of the lines, 0 to 1.
        line_scale: thickness of the lines, relative to the frame's size.

    Returns:
        `(T, 3, H, W)` in [0, 1].
    """
    ycc = rgb_to_ycc(frames)
    drawn = smooth_edges_kept(ycc, strength=0.55 * smoothing, iterations=1)
    flat = smooth_edges_kept(drawn, strength=0.65 * smoothing, iterations=3)
    painted = _paint(flat, levels, saturation)
    sigma = line_width(min(frames.shape[-2:])) * line_scale
    lines = ink_lines(drawn[:, :1], sigma, threshold=0.004, sharpness=45.0)
    inked = painted * (1 - ink * (1 - lines))
    return smooth_along(inked, orientation(inked, 1.0).tangent, 0.8)  # takes the jaggedness off edges


def _paint(flat: Tensor, levels: int, saturation: float) -> Tensor:
    """Reduce the tones of flattened (Y, Cb, Cr), lighten the shadows a little, and lift the colour."""
    tone = flat[:, :1].clamp(0, 1) ** 0.88
    stepped = 0.2 * tone + 0.8 * soft_steps(tone, levels, sharpness=5.5)
    return ycc_to_rgb(saturate(torch.cat((stepped, flat[:, 1:]), dim=1), saturation)).clamp(0, 1)
