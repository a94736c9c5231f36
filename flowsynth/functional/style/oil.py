"""Oil painting: brush strokes along the forms, broad where little happens, fine where much does."""

import torch
from torch import Tensor

from flowsynth.functional.picture.blur import gaussian_blur
from flowsynth.functional.picture.color import luma, rgb_to_ycc, saturate, ycc_to_rgb
from flowsynth.functional.picture.structure import orientation, smooth_along, sobel
from flowsynth.functional.picture.tone import smoothstep
from flowsynth.functional.style.kuwahara import kuwahara
from flowsynth.functional.style.planes import bicubic_enlarged, detail, enlarged, reduced, stacked, units
from flowsynth.functional.style.texture import lattice_noise

__all__ = ["oil_painting"]


def oil_painting(
    frames: Tensor,
    *,
    brush: float = 1.0,
    saturation: float = 1.2,
    relief: float = 1.0,
    sharpness: float = 8.0,
) -> Tensor:
    """Render frames as an oil painting.

    Two anisotropic Kuwahara filters lay on paint, a broad and a fine brush; the fine one shows where the
    broad one loses too much. Eyes and lettering are painted last. A light from the upper left gives bristle
    marks and borders of strokes a body, where there is a form for a brush to follow: walls stay calm.

    Args:
        frames: `(T, 3, H, W)` in [0, 1].
        brush: size of the strokes relative to the frame.
        saturation: gain on chroma.
        relief: strength of the light on the paint, 0 for none.
        sharpness: crispness of the strokes' borders.

    Returns:
        `(T, 3, H, W)` in [0, 1].
    """
    paint = bicubic_enlarged(_paint(reduced(frames, 432), brush, sharpness), frames).clamp(0, 1)
    unit = units(frames)
    paint = paint + (1.2 * (paint - gaussian_blur(paint, max(0.4, 0.25 * unit)))).clamp(-0.08, 0.08)
    ycc, source = rgb_to_ycc(paint.clamp(0, 1)), rgb_to_ycc(frames)
    _, weight = detail(source[:, :1], ycc[:, :1], max(0.5, 0.15 * unit), 0.095, 0.18)
    ycc = ycc + 0.85 * weight * (source - ycc)
    if relief > 0:
        ycc = stacked(ycc[:, :1] + relief * _light(ycc[:, :1], brush), ycc[:, 1:])
    return ycc_to_rgb(saturate(ycc, saturation)).clamp(0, 1)


def _paint(small: Tensor, brush: float, sharpness: float) -> Tensor:
    """Lay on broad strokes, drawn out along the forms, and fine ones where the broad lose too much."""
    unit = units(small) * brush
    broad = kuwahara(small, max(1.5, 3.2 * unit), sharpness=sharpness)
    tangent = orientation(broad, max(1.0, 1.5 * unit)).tangent
    broad = smooth_along(broad, tangent, 2.6 * unit, step=max(1.0, unit))
    fine = kuwahara(small, max(1.2, 1.2 * unit), sharpness=sharpness)
    lost = gaussian_blur((luma(small) - luma(broad)).abs(), max(0.6, 0.6 * unit))
    return torch.lerp(broad, fine, smoothstep(lost, 0.04, 0.11))


def _light(tone: Tensor, brush: float) -> Tensor:
    """Shade paint as a height field lit from the upper left: bristles along the forms, borders of strokes."""
    plane = reduced(tone, 540)
    unit = units(plane) * brush
    height, width = plane.shape[-2:]
    # Noise fixed to the canvas, of deviation 1 once blurred: 1 / (2 sqrt(pi) sigma) of what it was.
    noise = gaussian_blur((2 * lattice_noise(height, width, 5, plane.device) - 1) * 6.1, 1.0)
    tangent = orientation(plane, max(1.0, unit)).tangent
    bristles = smooth_along(noise.expand_as(plane), tangent, 2.1 * unit, step=max(1.0, unit / 1.5))
    bristles = 0.3 * (bristles - gaussian_blur(bristles, 1.2 * unit))
    form = gaussian_blur((plane - gaussian_blur(plane, 2 * unit)).square(), 2 * unit).clamp(min=0).sqrt()
    bristles = bristles * (0.08 + 0.92 * smoothstep(form, 0.005, 0.03))
    gx, gy = sobel(0.55 * bristles + 0.8 * plane)
    shade = 0.105 * torch.tanh((gx + gy) * unit) + 0.05 * bristles
    return enlarged(shade, tone) * (4 * tone * (1 - tone)).clamp(0.25, 1)
