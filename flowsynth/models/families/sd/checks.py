"""What a Stable Diffusion model cannot do of what a node asks, told from its local configurations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from flowsynth.core.errors import Fault, FlowsynthError, listing, nearest
from flowsynth.models.diffusion.scheduler_options import scheduler_option_faults
from flowsynth.models.diffusion.schedulers import scheduler_names
from flowsynth.models.families.sd.components import known_config
from flowsynth.models.families.sd.options import SdDenoiseOptions, SdTextOptions, numbers
from flowsynth.models.families.sd.spec import SdSpec
from flowsynth.models.locate import locate
from flowsynth.models.options import options_of
from flowsynth.models.requests import PICTURE_PORTS, Asked, DenoiseSettings, TextRequest


def faults(spec: SdSpec, asked: Asked, inputs: Mapping[str, int]) -> list[Fault]:
    """All faults of a node, with paths relative to it."""
    if isinstance(asked, TextRequest):
        return _text_faults(spec, options_of(asked, SdTextOptions))
    if isinstance(asked, DenoiseSettings):
        return [
            *_conditioning_faults(inputs),
            *_picture_faults(inputs),
            *_deflicker_faults(asked),
            *_control_faults(spec, asked, inputs.get("control", 0)),
            *_consistent_faults(spec, asked),
            *_part_faults(asked),
            *_stride_faults(asked),
            *_window_faults(spec, asked),
            *_scheduler_faults(asked),
            *_scheduler_option_faults(spec, asked),
        ]
    return []


def _text_faults(spec: SdSpec, options: SdTextOptions) -> list[Fault]:
    layers = known_config(spec, "text_encoder").get("num_hidden_layers")
    skip = options.clip_skip
    if skip is None or not isinstance(layers, int) or skip < layers:
        return []
    expected = f"at most {layers - 1}, as the text encoder has {layers} layers"
    return [Fault("params.options.clip_skip", "leaves no layer", expected, str(skip))]


def _conditioning_faults(inputs: Mapping[str, int]) -> list[Fault]:
    if inputs.get("conditioning"):
        return []
    return [Fault("inputs.conditioning", "missing input", "Conditioning")]


def _picture_faults(inputs: Mapping[str, int]) -> list[Fault]:
    expected = "latents from vae_encode, control and mask"
    return [
        Fault(f"inputs.{port}", "no use for it", expected, f"{port} connected")
        for port in PICTURE_PORTS
        if inputs.get(port) and port != "mask"
    ]


def _deflicker_faults(asked: DenoiseSettings) -> list[Fault]:
    count = numbers(asked).num_inference_steps
    if not asked.deflicker or max(asked.deflicker) < count:
        return []
    expected = f"0 to {count - 1}, as num_inference_steps says"
    return [Fault("params.deflicker", "no such step", expected, str(max(asked.deflicker)))]


def _scheduler_faults(asked: DenoiseSettings) -> list[Fault]:
    names = scheduler_names()
    if asked.scheduler is None or asked.scheduler in names:
        return []
    near = nearest(asked.scheduler, names)
    return [Fault("params.scheduler", "unknown scheduler", listing(names, 60), repr(asked.scheduler), near)]


def _scheduler_option_faults(spec: SdSpec, asked: DenoiseSettings) -> list[Fault]:
    if not asked.scheduler_options:
        return []
    own = str(known_config(spec, "scheduler").get("_class_name", "")) or None
    name = asked.scheduler or spec.scheduler.name
    return scheduler_option_faults("params.scheduler_options", name, own, asked.scheduler_options)


def _control_faults(spec: SdSpec, asked: DenoiseSettings, count: int) -> list[Fault]:
    known = list(spec.controlnets)
    found = [
        Fault(
            f"params.controlnets[{i}]", "no such ControlNet", listing(known), repr(name), nearest(name, known)
        )
        for i, name in enumerate(asked.controlnets or ())
        if name not in known
    ]
    names = known if asked.controlnets is None else list(asked.controlnets)
    if count and count != len(names):
        what = "one control a ControlNet" if asked.controlnets is None else "one control a name"
        expected = f"{len(names)} ({', '.join(names) or 'the model has no ControlNet'}), {what}"
        found.append(Fault("inputs.control", "wrong number of controls", expected, str(count)))
    if asked.controlnets and not count:
        found.append(Fault("inputs.control", "missing", f"{len(names)} for params.controlnets", "none"))
    return found


def _consistent_faults(spec: SdSpec, asked: DenoiseSettings) -> list[Fault]:
    share = options_of(asked, SdDenoiseOptions).consistent
    if spec.motion is None or share == 0:
        return []
    expected = "0 with motion modules, by which frames see each other"
    return [Fault("params.options.consistent", "not with motion", expected, f"{share:g}")]


def _part_faults(asked: DenoiseSettings) -> list[Fault]:
    """Steps that are none, and noise that is left of none."""
    options = options_of(asked, SdDenoiseOptions)
    total = numbers(asked).num_inference_steps
    first, last = options.first_step, options.last_step
    found = []
    if first >= min(total, last or total):
        found.append(
            Fault(
                "params.options.first_step",
                "no step left",
                f"less than {min(total, last or total)}",
                str(first),
            )
        )
    if options.leftover_noise and last is None:
        found.append(Fault("params.options.leftover_noise", "of no step", "last_step beside it", "none"))
    if options.timestep_spacing == "diffutoon" and (first or last is not None):
        found.append(
            Fault(
                "params.options.first_step", "not with diffutoon", "timestep_spacing: scheduler", "diffutoon"
            )
        )
    return found


def _stride_faults(asked: DenoiseSettings) -> list[Fault]:
    """A stride above the family's own window; above one that the node names, the operator finds it."""
    window = numbers(asked).window
    if asked.window is not None or asked.stride is None or asked.stride <= window:
        return []
    return [
        Fault("params.stride", "above window", f"at most {window}, this family's window", str(asked.stride))
    ]


def _window_faults(spec: SdSpec, asked: DenoiseSettings) -> list[Fault]:
    """A window longer than the motion adapter's position table, read from its local configuration."""
    if spec.motion is None or spec.motion.hub or spec.motion.file:
        return []
    try:
        config = json.loads((Path(locate(spec.motion)) / "config.json").read_text())
        limit = int(config["motion_max_seq_length"])
    except (FlowsynthError, OSError, ValueError, KeyError, TypeError):
        return []
    window = numbers(asked).window
    if window <= limit:
        return []
    message = "past the motion adapter's position table"
    return [Fault("params.window", message, f"at most {limit} frames", str(window))]
