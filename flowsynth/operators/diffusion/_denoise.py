"""Checks and conversions of the denoise operator."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from flowsynth.core.errors import Fault, FlowsynthError, RequestError, listing, nearest
from flowsynth.models import ModelSpec
from flowsynth.values import Conditioning, Frames, Latents

if TYPE_CHECKING:
    import torch


class ControlParams(Protocol):
    """The parameters that say how controls act."""

    @property
    def controlnets(self) -> tuple[str, ...] | None: ...

    @property
    def control_scale(self) -> float | tuple[float, ...]: ...

    @property
    def control_start(self) -> float | tuple[float, ...]: ...

    @property
    def control_end(self) -> float | tuple[float, ...]: ...

    @property
    def window(self) -> int: ...


def scheduler_faults(name: str | None, spec: ModelSpec) -> list[Fault]:
    """A scheduler that the model's family does not know."""
    from flowsynth.models.family import family

    names = getattr(family(spec.family), "scheduler_names", None)
    if name is None or names is None or name in names():
        return []
    expected, close = listing(names(), 60), nearest(name, names())
    return [Fault("params.scheduler", "unknown scheduler", expected, repr(name), close)]


def control_faults(params: ControlParams, spec: ModelSpec, count: int) -> list[Fault]:
    """Faults of the controls against the ControlNets of a model.

    Args:
        params: the operator.
        spec: the model.
        count: how many controls are connected.
    """
    known = list(getattr(spec, "controlnets", {}))
    faults = []
    for i, name in enumerate(params.controlnets or ()):
        if name not in known:
            path = f"params.controlnets[{i}]"
            faults.append(Fault(path, "no such ControlNet", listing(known), repr(name), nearest(name, known)))
    names = known if params.controlnets is None else list(params.controlnets)
    if count and count != len(names):
        what = "one control a ControlNet" if params.controlnets is None else "one control a name"
        expected = f"{len(names)} ({', '.join(names) or 'the model has no ControlNet'}), {what}"
        faults.append(Fault("inputs.control", "wrong number of controls", expected, str(count)))
    if params.controlnets and not count:
        faults.append(Fault("inputs.control", "missing", f"{len(names)} for params.controlnets", "none"))
    for field in ("control_scale", "control_start", "control_end"):
        value = getattr(params, field)
        if isinstance(value, tuple) and len(value) != count:
            faults.append(Fault(f"params.{field}", "wrong length", f"{count} numbers", f"{len(value)}"))
    return faults


def window_faults(params: ControlParams, spec: ModelSpec) -> list[Fault]:
    """A window longer than the motion adapter's position table, read from its local configuration."""
    motion = getattr(spec, "motion", None)
    if motion is None or motion.hub or motion.file:
        return []
    from flowsynth.models.locate import locate

    try:
        limit = json.loads((Path(locate(motion)) / "config.json").read_text())["motion_max_seq_length"]
    except (FlowsynthError, OSError, ValueError, KeyError, TypeError):
        return []
    if params.window <= limit:
        return []
    message = "past the motion adapter's position table"
    return [Fault("params.window", message, f"at most {limit} frames", str(params.window))]


def per_control(value: float | tuple[float, ...], count: int) -> tuple[float, ...]:
    """One number a control."""
    return value if isinstance(value, tuple) else (value,) * count


def conditioning_states(
    conditioning: Conditioning, family: str, frames: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """States of prompt and negative prompt: 1 x L x D, or one a frame where the prompt travels.

    Raises:
        RequestError: the conditioning comes from another family.
    """
    from flowsynth.models.requests import travel

    if conditioning.family != family:
        raise RequestError(
            f"denoise: conditioning of family {conditioning.family!r} given to a model of family {family!r}"
        )
    prompt, negative = (
        travel(conditioning.tensors[name], _frames(conditioning, name), frames)
        for name in ("prompt", "negative")
    )
    return prompt, negative


def _frames(conditioning: Conditioning, name: str) -> list[int]:
    found: Any = conditioning.meta.get(f"{name}_frames", [0])
    return [int(frame) for frame in found]


def deflicker_faults(steps: tuple[int, ...], count: int, guided: bool) -> list[Fault]:
    """A guide that nothing looks at, and steps that don't run."""
    if guided and not steps:
        return [Fault("inputs.guide", "not looked at", "params.deflicker, or no guide", "no step")]
    if steps and max(steps) >= count:
        expected = f"0 to {count - 1}, as num_inference_steps says"
        return [Fault("params.deflicker", "no such step", expected, str(max(steps)))]
    return []


def frame_size(latents: Latents, factor: int) -> tuple[int, int]:
    """Height and width of the frames that latents stand for; `factor` is pixels a side of a latent pixel."""
    height, width = (side * factor for side in latents.frame_shape[1:])
    return latents.height or height, latents.width or width


def require_frames(
    frames: Frames, latents: Latents, size: tuple[int, int], what: str, *, single: bool = False
) -> None:
    """Raise unless frames belong to latents in size and number.

    Args:
        frames: a control or a guide.
        latents: what is denoised.
        size: height and width of its frames.
        what: the clip's name in the message.
        single: one frame for all is fine too.

    Raises:
        RequestError: another number of frames, or another size.
    """
    if (frames.height, frames.width) != size:
        raise RequestError(
            f"denoise: {what} is {frames.width}x{frames.height}; expected the frames' {size[1]}x{size[0]}"
        )
    if frames.num_frames != latents.num_frames and not (single and frames.num_frames == 1):
        raise RequestError(
            f"denoise: {what} has {frames.num_frames} frames;"
            f" expected {latents.num_frames} as the latents{', or one for all' if single else ''}"
        )


def control_reader(
    name: str, frames: Frames, latents: Latents, factor: int
) -> Callable[[int, int], torch.Tensor]:
    """A reader of control images: float32 in [0, 1], three channels.

    Args:
        name: the ControlNet's, for messages.
        frames: the control's clip; a single frame holds for the whole clip.
        latents: what is denoised.
        factor: pixels along the side of a latent pixel.

    Raises:
        RequestError: another number of frames, or another size.
    """
    from flowsynth.operators.shared.frames import as_rgb

    require_frames(frames, latents, frame_size(latents, factor), f"control for {name!r}", single=True)

    def read(start: int, stop: int) -> torch.Tensor:
        if frames.num_frames == 1:
            return as_rgb(frames.to_float()).expand(stop - start, -1, -1, -1)
        return as_rgb(frames.slice(start, stop).to_float())

    return read
