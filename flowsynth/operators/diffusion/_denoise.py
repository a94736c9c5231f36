"""Checks and conversions of the denoise operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowsynth.core.errors import Fault, RequestError
from flowsynth.models.requests import DenoiseSettings, FrameReader
from flowsynth.values import Conditioning, Frames, Latents

if TYPE_CHECKING:
    import torch


def number_faults(settings: DenoiseSettings, controls: int) -> list[Fault]:
    """Numbers that don't fit each other, or the number of controls."""
    faults = []
    if settings.stride is not None and settings.window is not None and settings.stride > settings.window:
        expected, given = f"at most {settings.window}", str(settings.stride)
        faults.append(Fault("params.stride", "above window", expected, given))
    factors = {
        "control_scale": settings.control_scale,
        "control_start": settings.control_start,
        "control_end": settings.control_end,
    }
    for name, value in factors.items():
        if isinstance(value, tuple) and len(value) != controls:
            faults.append(Fault(f"params.{name}", "wrong length", f"{controls} numbers", f"{len(value)}"))
    return faults


def require_family(conditioning: Conditioning | None, family: str) -> None:
    """Raise unless conditioning was made by a family.

    Raises:
        RequestError: it comes from another one.
    """
    if conditioning is not None and conditioning.family != family:
        raise RequestError(
            f"denoise: conditioning of family {conditioning.family!r} given to a model of family {family!r}"
        )


def guide_faults(steps: tuple[int, ...], guided: bool) -> list[Fault]:
    """A guide that nothing looks at."""
    if guided and not steps:
        return [Fault("inputs.guide", "not looked at", "params.deflicker, or no guide", "no step")]
    return []


def frame_size(latents: Latents, factor: int) -> tuple[int, int]:
    """Height and width of the frames that latents stand for; `factor` is pixels a side of a latent pixel."""
    height, width = (side * factor for side in latents.frame_shape[1:])
    return latents.height or height, latents.width or width


def require_frames(
    frames: Frames,
    latents: Latents,
    size: tuple[int, int],
    what: str,
    *,
    single: bool = False,
    keys: int | None = None,
) -> None:
    """Raise unless frames belong to latents in size and number.

    Args:
        frames: a control or a guide.
        latents: what is denoised.
        size: height and width of its frames.
        what: the clip's name in the message.
        single: one frame for all is fine too.
        keys: how many frames it must have, where it is for some of the clip's alone.

    Raises:
        RequestError: another number of frames, or another size.
    """
    if (frames.height, frames.width) != size:
        raise RequestError(
            f"denoise: {what} is {frames.width}x{frames.height}; expected the frames' {size[1]}x{size[0]}"
        )
    count = keys or latents.frames or latents.num_frames
    if keys is not None and frames.num_frames != keys:
        raise RequestError(f"denoise: {what} has {frames.num_frames} frames; the options list {keys}")
    if frames.num_frames != count and not (single and frames.num_frames == 1):
        raise RequestError(
            f"denoise: {what} has {frames.num_frames} frames;"
            f" expected {count} as the latents{', or one for all' if single else ''}"
        )


def control_reader(
    name: str, frames: Frames, latents: Latents, factor: int, keys: int | None = None
) -> FrameReader:
    """A reader of control images: float32 in [0, 1], three channels.

    Args:
        name: what it is called in messages.
        frames: the control's clip; a single frame holds for the whole clip.
        latents: what is denoised.
        factor: pixels along the side of a latent pixel.
        keys: how many frames it must have, where it is for some of the clip's alone.

    Raises:
        RequestError: another number of frames, or another size.
    """
    from flowsynth.values.frames import as_rgb

    require_frames(frames, latents, frame_size(latents, factor), name, single=True, keys=keys)

    def read(start: int, stop: int) -> torch.Tensor:
        if frames.num_frames == 1:
            return as_rgb(frames.to_float()).expand(stop - start, -1, -1, -1)
        return as_rgb(frames.slice(start, stop).to_float())

    return read
