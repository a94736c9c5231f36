"""What a pipeline class cannot do of what a node asks, told from its source."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

from flowsynth.core.errors import Fault, FlowsynthError, listing, nearest
from flowsynth.models.diffusion.scheduler_options import scheduler_option_faults
from flowsynth.models.diffusion.schedulers import scheduler_names, takes_schedulers
from flowsynth.models.families.diffusers.clip_checks import clip_faults
from flowsynth.models.families.diffusers.facts import Facts, facts
from flowsynth.models.families.diffusers.formats import latent_format
from flowsynth.models.families.diffusers.index import part_classes
from flowsynth.models.families.diffusers.line_checks import line_faults
from flowsynth.models.families.diffusers.options import makes_clips
from flowsynth.models.families.diffusers.ports import ALIASES, ports_of
from flowsynth.models.families.diffusers.spec import DiffusersSpec
from flowsynth.models.requests import Asked, DecodeSettings, DenoiseSettings, TextRequest

#: Classes whose text needs a library that diffusers does not bring: prefix of the class -> module.
_NEEDS = {"Wan": "ftfy", "SkyReels": "ftfy", "Helios": "ftfy", "Allegro": "ftfy", "Kolors": "sentencepiece"}


def faults(spec: DiffusersSpec, asked: Asked, inputs: Mapping[str, int]) -> list[Fault]:
    """All faults of a node, with paths relative to it; none where the pipeline's folder is not here yet."""
    try:
        known = facts(spec.class_name(offline=True))
    except FlowsynthError as error:
        return [Fault("inputs.model", str(error))] if spec.pipeline is not None else []
    return [*line_faults(spec, asked), *_asked_faults(spec, known, asked, inputs)]


def _asked_faults(spec: DiffusersSpec, known: Facts, asked: Asked, inputs: Mapping[str, int]) -> list[Fault]:
    if isinstance(asked, TextRequest):
        return _text_faults(spec, known, asked)
    if isinstance(asked, DenoiseSettings):
        return [*_port_faults(spec, known, inputs), *_setting_faults(spec, known, asked, inputs)]
    if isinstance(asked, DecodeSettings) and asked.tile_size:
        return [
            Fault(
                "params.tile_size",
                "not for this family",
                "0: the model's line vae_tiling: true is for it",
                str(asked.tile_size),
            )
        ]
    return []


def _text_faults(spec: DiffusersSpec, known: Facts, asked: TextRequest) -> list[Fault]:
    found = _several_faults(spec, known, asked)
    for name, prompts in (("prompt", asked.prompt), ("negative_prompt", asked.negative_prompt)):
        if name not in known.arguments and any(prompts.values()):
            found.append(
                Fault(
                    f"params.{name}",
                    "no use for it",
                    f"nothing: {known.name} takes none",
                    repr(next(iter(prompts.values()))),
                )
            )
    for prefix, module in _NEEDS.items():
        if known.name.startswith(prefix) and importlib.util.find_spec(module) is None:
            found.append(
                Fault(
                    "inputs.model",
                    f"{known.name} cleans prompts with {module}",
                    f"pip install {module}",
                    "not installed",
                )
            )
    return found


def _several_faults(spec: DiffusersSpec, known: Facts, asked: TextRequest) -> list[Fault]:
    """Prompts of several pictures, where a class makes one, or that skip a picture."""
    count, several = len(asked.prompt), makes_several(spec, known)
    found = []
    for name, prompts in (("prompt", asked.prompt), ("negative_prompt", asked.negative_prompt)):
        if len(prompts) == 1 or (not prompts and name != "prompt"):
            continue
        expected = f"one text: {known.name} takes one prompt"
        if several:
            expected = "a text for each picture: 0, 1, 2, ..." + ("" if name == "prompt" else ", or one")
        if not several or list(prompts) != list(range(count)):
            found.append(Fault(f"params.{name}", "travels", expected, f"{len(prompts)} frames"))
    return found


def makes_several(spec: DiffusersSpec, known: Facts) -> bool:
    """Whether a call makes several pictures of as many prompts."""
    if makes_clips(known) or "list" not in known.annotations.get("prompt", "").lower():
        return False
    try:
        return latent_format(spec, offline=True).by_frame
    except FlowsynthError:
        return True  # said when the node runs


def _port_faults(spec: DiffusersSpec, known: Facts, inputs: Mapping[str, int]) -> list[Fault]:
    ports = ports_of(known)
    found = [
        Fault(
            f"inputs.{port}",
            "no use for it",
            f"{listing(sorted(ports)) or 'none'} with {known.name}",
            f"{port} connected",
        )
        for port in ALIASES
        if inputs.get(port) and port not in ports
    ]
    found += [
        Fault(f"inputs.{port}", "missing input", f"Frames: {known.name} needs its argument {name}")
        for port, name in ports.items()
        if name in known.required and not inputs.get(port)
    ]
    if known.text_method and "prompt" in known.arguments and not inputs.get("conditioning"):
        found.append(
            Fault("inputs.conditioning", "missing input", f"Conditioning from text_encode with {known.name}")
        )
    given, wanted = inputs.get("image_prompt", 0), len(spec.ip_adapters)
    if given != wanted and "image_prompt" in ports:
        expected = f"{wanted}, one for each of the model's ip_adapters"
        found.append(Fault("inputs.image_prompt", "another number", expected, str(given)))
    return found


def _setting_faults(
    spec: DiffusersSpec, known: Facts, asked: DenoiseSettings, inputs: Mapping[str, int]
) -> list[Fault]:
    found = [
        Fault(f"params.{name}", "no use for it", f"null: {known.name} has no such argument", str(value))
        for name, value in (
            ("num_inference_steps", asked.num_inference_steps),
            ("guidance_scale", asked.guidance_scale),
            ("strength", asked.strength),
        )
        if value is not None and name not in known.arguments
    ]
    if asked.controlnets is not None:
        expected, given = "null: its ControlNet is a part of the model", str(asked.controlnets)
        found.append(Fault("params.controlnets", "not for this family", expected, given))
    found += clip_faults(spec, known, asked, inputs)
    found += _scheduler_faults(spec, known, asked)
    found += scheduler_option_faults(
        "params.scheduler_options", asked.scheduler, own_scheduler(spec) or None, asked.scheduler_options
    )
    if not isinstance(asked.seed, int):
        found.append(Fault("params.seed", "one a frame", "one seed", f"{len(asked.seed)} seeds"))
    return found


def _scheduler_faults(spec: DiffusersSpec, known: Facts, asked: DenoiseSettings) -> list[Fault]:
    """A scheduler that is none, or one by name where the model's own follows a noise of another kind."""
    if asked.scheduler is None:
        return []
    names = scheduler_names()
    if asked.scheduler not in names:
        near = nearest(asked.scheduler, names)
        return [
            Fault("params.scheduler", "unknown scheduler", listing(names, 60), repr(asked.scheduler), near)
        ]
    own = own_scheduler(spec)
    if own is None or takes_schedulers(own):
        return []
    expected = f"null: {known.name} runs by its own {own or 'none'}, whose options scheduler_options takes"
    return [Fault("params.scheduler", "not for this model", expected, repr(asked.scheduler))]


def own_scheduler(spec: DiffusersSpec) -> str | None:
    """Class of the pipeline's own scheduler, empty if it has none; None where that is not on this machine."""
    try:
        return part_classes(spec.index(offline=True)).get("scheduler", ("", ""))[1]
    except FlowsynthError:
        return None
