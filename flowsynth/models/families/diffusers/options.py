"""A class's own arguments as options of the verbs, checked by name and type."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from pydantic import Field, JsonValue, create_model

from flowsynth.models.diffusion.consistent import LAYERS_TEXT, SHARE_TEXT, Layers, Share
from flowsynth.models.families.diffusers.facts import COMPUTED, Facts, facts
from flowsynth.models.families.diffusers.ports import ALIASES
from flowsynth.models.options import Options

#: Set by the verbs' own parameters and ports, or by the engine.
_TAKEN = frozenset(
    {
        "prompt", "negative_prompt", "height", "width", "num_frames", "video_length", "num_inference_steps",
        "guidance_scale", "strength", "generator", "latents", "output_type", "return_dict", "callback",
        "callback_on_step_end", "callback_on_step_end_tensor_inputs", "callback_steps", "decode_chunk_size",
        "batch_size", "use_resolution_binning", "padding_mask_crop", "controlnet_conditioning_scale",
        "control_guidance_start", "control_guidance_end", "timesteps", "sigmas",
    }
)  # fmt: skip
#: Options that are ours, not the class's.
OWN = ("consistent", "consistent_layers")
#: Tensors and pictures, which no text can hold.
_TENSORS = re.compile(r".*embeds?\w*|.*_image|.*_latents?|.*attention_mask\w*|num_\w+_per_prompt")
_PLAIN: dict[str, type[Any]] = {"int": int, "float": float, "bool": bool, "str": str}


@cache
def option_model(name: str, verb: str) -> type[Options]:
    """The options that a pipeline class has for a verb."""
    known = facts(name)
    names = (
        text_options(known) if verb == "text_encode" else denoise_options(known) if verb == "denoise" else []
    )
    fields: dict[str, Any] = {
        option.strip("_"): (
            _type(known, option),
            Field(
                default=_default(known, option),
                alias=option,
                description=f"of {name}, as diffusers documents it",
            ),
        )
        for option in names
    }
    if verb == "denoise" and sees_pictures(known):
        fields["consistent"] = (Share, Field(default=0.0, description=SHARE_TEXT))
        fields["consistent_layers"] = (Layers, Field(default="up", description=LAYERS_TEXT))
    return create_model(f"{name}{verb.title().replace('_', '')}Options", __base__=Options, **fields)


def makes_clips(known: Facts) -> bool:
    """Whether a class is asked for a number of frames."""
    return not known.arguments.keys().isdisjoint({"num_frames", "video_length"})


def sees_pictures(known: Facts) -> bool:
    """Whether the pictures of a batch can see each other: those of a UNet of pictures."""
    return "unet" in known.parts and "prompt" in known.arguments and not makes_clips(known)


def text_options(known: Facts) -> list[str]:
    """Arguments of the call that its text depends on, besides the prompts."""
    return [name for name in known.text_arguments if name not in _TAKEN]


def denoise_options(known: Facts) -> list[str]:
    """The other arguments that can be written down."""
    pictures = {alias for aliases in ALIASES.values() for alias in aliases}
    left_out = {*_TAKEN, *known.text_arguments, *pictures}
    return [name for name in known.arguments if name not in left_out and not _TENSORS.fullmatch(name)]


def _default(known: Facts, name: str) -> Any:
    value = known.arguments[name]
    return None if value == COMPUTED else value


def _type(known: Facts, name: str) -> Any:
    """The type of an argument where its annotation is a plain one, else anything that JSON can hold."""
    words = set(re.findall(r"\w+", known.annotations[name])) - {"Optional", "Union", "None"}
    kinds = [_PLAIN[word] for word in words if word in _PLAIN]
    if len(kinds) != len(words) or not kinds:
        return JsonValue
    kind = float if float in kinds and int in kinds else kinds[0] if len(kinds) == 1 else JsonValue
    return kind | None
