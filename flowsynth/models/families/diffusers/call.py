"""The arguments of a pipeline's call, and the scheduler that it runs by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flowsynth.core.canonical import Json
from flowsynth.core.errors import RequestError
from flowsynth.models.diffusion.tree import rebuild
from flowsynth.models.families.diffusers.facts import Facts
from flowsynth.models.families.diffusers.options import OWN
from flowsynth.models.families.diffusers.ports import picture_arguments
from flowsynth.models.requests import DenoiseRequest, DenoiseSettings, TextRequest

if TYPE_CHECKING:
    import torch

    from flowsynth.values import Conditioning

#: Whole clips are cut at the decoder, and sizes are what the graph says.
FIXED = {"decode_chunk_size": 1 << 20, "use_resolution_binning": False}


def call_arguments(known: Facts, request: DenoiseRequest) -> dict[str, Any]:
    """What a class's call is given for a node, the generator aside."""
    settings, latents = request.settings, request.latents
    words = request.conditioning.meta["words"] if request.conditioning is not None else {}
    count = latents.frames or latents.num_frames
    sizes = {"height": latents.height, "width": latents.width, "num_frames": count, "video_length": count}
    asked = {
        "num_inference_steps": settings.num_inference_steps,
        "guidance_scale": settings.guidance_scale,
        "strength": settings.strength,
    }
    given = {**sizes, **FIXED, **{name: value for name, value in asked.items() if value is not None}}
    return {
        **{name: value for name, value in given.items() if name in known.arguments},
        **_control_arguments(known, request),
        **{name: _as_told(known, name, value) for name, value in settings.options.items() if name not in OWN},
        **(words if isinstance(words, dict) else {}),
        **picture_arguments(known, request.pictures),
    }


def _as_told(known: Facts, name: str, value: Any) -> Any:
    """An option as the class takes it: sizes are tuples there, which are added to others."""
    told = known.annotations.get(name, "").lower()
    return tuple(value) if isinstance(value, list) and "tuple" in told else value


def started(known: Facts, request: DenoiseRequest, decoder: Mapping[str, Any]) -> dict[str, Any]:
    """The picture to start from where latents of another denoising stand for one.

    Args:
        known: the class.
        request: with latents as a decoder was about to get them.
        decoder: its configuration.

    Raises:
        RequestError: the class starts from noise alone, or scales its latents in another way.
    """
    latents = request.latents
    if latents.empty or latents.decoder is None or request.pictures.get("image"):
        return {}
    if not {"image", "strength"} <= known.arguments.keys():
        raise RequestError(
            f"denoise: {known.name} starts from noise; expected empty latents, or a class that starts from"
            " pictures, such as StableDiffusionXLImg2ImgPipeline"
        )
    if decoder.get("latents_mean") or not isinstance(scale := decoder.get("scaling_factor"), (int, float)):
        raise RequestError(
            f"denoise: {known.name} takes no latents of another denoising; give it the picture"
        )
    return {"image": (latents.tensor - float(decoder.get("shift_factor") or 0)) * scale}


def _control_arguments(known: Facts, request: DenoiseRequest) -> dict[str, Any]:
    settings = request.settings
    if not request.pictures.get("control"):
        return {}
    named = {
        "controlnet_conditioning_scale": settings.control_scale,
        "control_guidance_start": settings.control_start,
        "control_guidance_end": settings.control_end,
    }
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in named.items()
        if name in known.arguments
    }


def reschedule(pipe: Any, settings: DenoiseSettings) -> None:
    """Put another scheduler in the place of the pipeline's, or its own with other options."""
    from flowsynth.models.diffusion.schedulers import make_scheduler, with_options

    if settings.scheduler is not None:
        base = {**pipe.scheduler.config, "_class_name": type(pipe.scheduler).__name__}
        pipe.scheduler = make_scheduler(settings.scheduler, base, settings.scheduler_options)
    elif settings.scheduler_options:
        pipe.scheduler = with_options(pipe.scheduler, settings.scheduler_options)


def words_of(request: TextRequest) -> dict[str, Json]:
    """The prompts and text options of a request, as a pipeline's call takes them.

    Prompts of several pictures come as a list, negative ones beside them.
    """
    count = len(request.prompt)
    words: dict[str, Json] = {}
    for name, by_frame in (("prompt", request.prompt), ("negative_prompt", request.negative_prompt)):
        texts = list(by_frame.values()) or [""]
        if any(texts) or name == "prompt":
            several: list[Json] = [*texts] if len(texts) == count else [*texts[:1]] * count
            words[name] = several if count > 1 else texts[0]
    return {**words, **request.options}


def pictures_asked(request: DenoiseRequest) -> int:
    """Pictures of one call: as many as prompts.

    Raises:
        RequestError: the latents are of another number.
    """
    words = request.conditioning.meta.get("words") if request.conditioning is not None else None
    prompts = words.get("prompt") if isinstance(words, dict) else None
    count, given = len(prompts) if isinstance(prompts, list) else 1, request.latents.num_frames
    if given != count and not request.pictures:
        raise RequestError(
            f"denoise: the latents are of {given} pictures, the conditioning of {count};"
            " expected as many, a prompt each: text_encode prompt: {0: ..., 1: ...}"
        )
    return count


def recorded_texts(conditioning: Conditioning, device: str) -> dict[str, Any]:
    """The results of text encoding that a conditioning holds, by their calls.

    Raises:
        RequestError: it holds none.
    """
    calls: Mapping[str, Json] | Json = conditioning.meta.get("calls")
    if not isinstance(calls, dict):
        raise RequestError("denoise: expected the conditioning that text_encode makes with this family")
    tensors = {name: tensor.to(device) for name, tensor in conditioning.tensors.items()}
    return {key: rebuild(tree, tensors) for key, tree in calls.items()}


def generator_of(settings: DenoiseSettings) -> torch.Generator:
    """The generator of a node's noise, on the CPU.

    Raises:
        RequestError: there is a seed for every frame.
    """
    import torch

    if not isinstance(settings.seed, int):
        raise RequestError("denoise: a diffusers pipeline takes one seed, not one a frame")
    return torch.Generator("cpu").manual_seed(settings.seed)
