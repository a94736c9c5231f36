"""Transfer of detail: what redrawing changed in a small picture is laid onto a large one, as light."""

from torch import Tensor

from flowsynth.functional.picture.blur import gaussian_blur
from flowsynth.functional.picture.color import luma
from flowsynth.functional.picture.light import luminance, to_light, to_signal
from flowsynth.functional.picture.resize import bicubic
from flowsynth.functional.picture.tone import smoothstep

__all__ = ["local_contrast", "transfer_detail"]

_FLOOR = 0.02  # of luminance: below it a ratio of light is a ratio of noise
_REACH = 3.0  # spread of the neighbourhood whose contrast counts, pixels of the large picture


def transfer_detail(
    large: Tensor,
    redrawn: Tensor,
    before: Tensor,
    *,
    size: float,
    darks: float,
    lights: float,
    contrast: float,
) -> Tensor:
    """Lay the detail that redrawing brought onto a large picture, in linear light.

    With luminances Y (of `redrawn`) and R (of `before`), the change d = Y - R loses its low frequencies,
    d - blur(d), is weighted by its sign, enlarged, and multiplies the large picture's light by
    (R + w d) / R: strokes darken what is there as ink does, and hues stay. The weight w rises with the large
    picture's own local contrast, so that flat areas stay as they are. The idea is the residual transfer
    of joint upsampling (Kopf et al. 2007) with the ratio images of Liu, Shan and Zhang (2001).

    Args:
        large: `(N, 1 or 3, H, W)` in [0, 1].
        redrawn: `(N, 3, h, w)` in [0, 1].
        before: `(N, 3, h, w)`, what `redrawn` was made from.
        size: sigma of the blur, pixels of the small pictures.
        darks: gain on what became darker.
        lights: gain on what became lighter.
        contrast: deviation of the large picture's luma up to which nothing is laid on; from four times it
            everything; 0 lays on everywhere.

    Returns:
        Like `large`, in [0, 1].
    """
    target = large.shape[-2], large.shape[-1]
    light = luminance(to_light(before))
    change = luminance(to_light(redrawn)) - light
    change = change - gaussian_blur(change, size)
    # Each sign by itself, so that the ringing of the one makes no halo of the other.
    change = lights * bicubic(change.clamp(min=0), target).clamp(min=0) + darks * bicubic(
        change.clamp(max=0), target
    ).clamp(max=0)
    if contrast > 0:
        change = change * smoothstep(local_contrast(luma(large), _REACH), contrast, 4 * contrast)
    under = bicubic(light, target).clamp(min=0) + _FLOOR
    return to_signal((to_light(large) * ((under + change).clamp(min=0) / under)).clamp(0, 1))


def local_contrast(tone: Tensor, reach: float) -> Tensor:
    """Return the deviation of a plane `(N, 1, H, W)` from its local mean, within `reach` pixels."""
    return gaussian_blur((tone - gaussian_blur(tone, reach)).square(), reach).sqrt()
