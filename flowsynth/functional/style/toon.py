"""Cel shading: flat regions, few tones with clean borders, ink lines; eyes and lettering kept."""

import torch
from torch import Tensor

from flowsynth.functional.picture.blur import gaussian_blur
from flowsynth.functional.picture.color import rgb_to_ycc, saturate, ycc_to_rgb
from flowsynth.functional.picture.structure import sobel
from flowsynth.functional.picture.tone import smoothstep
from flowsynth.functional.style.bilateral import bilateral, guided_enlarge
from flowsynth.functional.style.flatten import flatten
from flowsynth.functional.style.ink import Pen, ink
from flowsynth.functional.style.planes import detail, deviation, enlarged, reduced, short_side, stacked, units

__all__ = ["toon"]

_PEN = Pen(1.28, gains=(38.0, 60.0), offsets=(0.004, 0.006), doubt=0.022)


def toon(
    frames: Tensor,
    *,
    levels: int = 6,
    smoothing: float = 1.0,
    saturation: float = 1.45,
    ink_strength: float = 0.9,
    line_scale: float = 1.0,
) -> Tensor:
    """Render frames as a cartoon (the abstraction of Winnemoeller, Olsen and Gooch 2006).

    Args:
        frames: `(T, 3, H, W)` in [0, 1].
        levels: tone steps from black to white.
        smoothing: how wide a range of colour counts as one region; 1 is the default look.
        saturation: gain on chroma.
        ink_strength: strength of the lines, 0 to 1.
        line_scale: thickness of the lines, relative to the frame's size.

    Returns:
        `(T, 3, H, W)` in [0, 1].
    """
    ycc = rgb_to_ycc(frames)
    small = reduced(ycc, 432)
    flat = bilateral(small, short_side(small) / 144, 0.05 * smoothing, 2)
    flat = flatten(flat, 0.006 * smoothing)
    full = guided_enlarge(flat, small, ycc, sigma=1.5, eps=2e-3) if flat.shape != ycc.shape else flat
    painted = ycc_to_rgb(saturate(_painted(ycc, full, flat, levels), saturation)).clamp(0, 1)
    return painted * (1 - ink_strength * ink(ycc[:, :1], flat[:, :1], _PEN, line_scale))


def _painted(ycc: Tensor, full: Tensor, flat: Tensor, levels: int) -> Tensor:
    """Step the tones of the simplified picture, and give back the detail that matters."""
    base = full[:, :1].clamp(0, 1)
    source, unit = ycc[:, :1], units(ycc)
    # In deep shadow a face differs little from flat paint: less is asked of it, without film grain.
    dark = 1 - smoothstep(base, 0.1, 0.35)
    source = torch.lerp(source, gaussian_blur(source, 0.45 * unit), dark)
    seen = (source - base) * (1 + 1.2 * dark)
    _, weight = detail(base + seen, base, max(0.5, 0.15 * unit), 0.065, 0.13)
    # Of highlights and shadows only what stands out: skin and walls stay flat.
    weight = weight * torch.where(seen > 0, smoothstep(seen, 0.04, 0.15), smoothstep(-seen, 0.015, 0.06))
    tone = _stepped(base**0.85, flat[:, :1], levels) + (source - base) * weight * (1 + 0.5 * dark)
    chroma = full[:, 1:] + 0.8 * weight * (ycc[:, 1:] - full[:, 1:])
    return stacked(tone.clamp(0, 1), chroma)


def _stepped(tone: Tensor, flat: Tensor, levels: int) -> Tensor:
    """Bring a tone to steps whose borders are clean, and leave walls without shade alone.

    Borders of steps are read from a coarser plane, so that they run smoothly, but at edges, where they lie
    on the edge. Their ramps are as wide as the tone's slope asks for, so that they neither alias nor blur.
    """
    plane = reduced(flat.clamp(0, 1) ** 0.85, 360)
    smooth = gaussian_blur(plane, 1.0)
    gx, gy = sobel(smooth)
    slope = enlarged((gx.square() + gy.square()).sqrt(), tone)
    contour = torch.lerp(enlarged(smooth, tone), tone, smoothstep(slope, 0.02, 0.06))
    width = (1.6 * (levels - 1) * slope * short_side(plane) / short_side(tone)).clamp(0.3, 1)
    scaled = contour.clamp(0, 1) * (levels - 1)
    below = scaled.floor().clamp(max=levels - 2)
    ramp = smoothstep((scaled - below - 0.5) / width, -0.5, 0.5)
    varied = enlarged(deviation(reduced(flat, 90), 7.0), tone)
    return tone + 0.8 * smoothstep(varied, 0.03, 0.09) * ((below + ramp) / (levels - 1) - contour)
