"""Classical stylisation of frames: no model, no state, each frame by itself.

These are image filters, not diffusion. They are deterministic, hold no randomness between frames, and use
soft thresholds throughout, so that footage keeps its steadiness.
"""

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from flowsynth.functional.style.oil import oil_painting
from flowsynth.functional.style.pencil import pencil_sketch
from flowsynth.functional.style.toon import toon
from flowsynth.functional.style.watercolor import watercolor

__all__ = ["STYLES", "Style", "oil_painting", "pencil_sketch", "stylize", "toon", "watercolor"]

Style = Literal["toon", "oil_painting", "watercolor", "pencil_sketch"]

STYLES: dict[Style, Callable[..., Tensor]] = {
    "toon": toon,
    "oil_painting": oil_painting,
    "watercolor": watercolor,
    "pencil_sketch": pencil_sketch,
}
assert set(STYLES) == set(get_args(Style))


def stylize(frames: Tensor, style: str, *, strength: float = 1.0, **options: float) -> Tensor:
    """Render frames in a classical style.

    Frames are taken one at a time, so the result does not depend on how a clip is cut into batches, and
    the memory needed is that of one frame.

    Args:
        frames: `(T, 3, H, W)` float in [0, 1], any size from 1 pixel up; lengths scale with the short side.
        style: one of `STYLES`.
        strength: mix of the source (0) and the full style (1).
        options: keyword arguments of the style's own function.

    Returns:
        `(T, 3, H, W)` in [0, 1].

    Raises:
        ValueError: for an unknown style or frames of another layout.
    """
    if style not in STYLES:
        raise ValueError(f"stylize: style must be one of {', '.join(STYLES)}, got {style!r}")
    if frames.ndim != 4 or frames.shape[1] != 3 or not frames.is_floating_point():
        raise ValueError(
            f"stylize: frames must be float (T, 3, H, W), got {frames.dtype} {tuple(frames.shape)}"
        )
    if frames.shape[0] == 0:
        return frames
    render = STYLES[style]
    out = torch.cat([render(frame[None], **options) for frame in frames.unbind()])
    return torch.lerp(frames, out, strength) if strength != 1.0 else out
