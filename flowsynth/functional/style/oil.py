"""Oil painting: patches of even colour drawn out along the forms."""

import torch
from torch import Tensor

from flowsynth.functional.picture.color import rgb_to_ycc, saturate, ycc_to_rgb
from flowsynth.functional.picture.structure import orientation, smooth_along, sobel
from flowsynth.functional.style.kuwahara import kuwahara
from flowsynth.functional.style.texture import value_noise

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

    An anisotropic Kuwahara filter gathers colour into strokes, a blur along the structure draws them out,
    and a light from the upper left gives bristle marks and borders of strokes a body.

    Args:
        frames: `(T, 3, H, W)` in [0, 1].
        brush: size of the strokes relative to the frame.
        saturation: gain on chroma.
        relief: strength of the light on the paint, 0 for none.
        sharpness: crispness of the strokes' borders.

    Returns:
        `(T, 3, H, W)` in [0, 1].
    """
    height, width = frames.shape[-2:]
    radius = max(1.5, 2.3 * (min(height, width) / 144) ** 0.75 * brush)
    habit = 0.8 + 1.5 * value_noise(height, width, 16 * radius, 9, frames.device)
    strokes = kuwahara(frames, radius, sharpness=sharpness)
    tangent = orientation(strokes, sigma=max(1.5, radius), prior=habit).tangent
    strokes = smooth_along(strokes, tangent, 0.45 * radius, step=max(1.0, radius / 3))
    strokes = kuwahara(strokes, 0.7 * radius, sharpness=sharpness)
    ycc = saturate(rgb_to_ycc(strokes), saturation)
    if relief > 0:
        ycc[:, :1] += relief * _light(ycc[:, :1], tangent, radius)
    return ycc_to_rgb(ycc).clamp(0, 1)


def _light(tone: Tensor, tangent: Tensor, radius: float) -> Tensor:
    """Shade paint as a height field lit from the upper left: bristle marks along the strokes, and borders."""
    height, width = tone.shape[-2:]
    noise = value_noise(height, width, max(1.3, 0.5 * radius), 5, tone.device).expand_as(tone)
    bristles = smooth_along(noise, tangent, 1.6 * radius, step=max(1.0, radius / 3))
    gx, gy = sobel(bristles + 1.5 * tone)
    shade = torch.tanh(1.2 * (gx + gy) * radius / 2.4)
    return 0.075 * shade * (4 * tone * (1 - tone)).clamp(0.25, 1)
