"""A model's declaration as loaders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from flowsynth.comfyui.exporting.prompt import NoCounterpartError, Out, Prompt

#: What of a declaration has its loader; the rest must not be there.
_KNOWN = {
    "family",
    "source",
    "vae",
    "controlnets",
    "loras",
    "textual_inversion",
    "pipeline",
    "components",
    "dtype",
}
_FILES = (".safetensors", ".ckpt", ".pt", ".pth")


class Loaded(NamedTuple):
    """Outputs of a model's loaders."""

    net: Out
    clip: Out
    vae: Out


def loaded(prompt: Prompt, name: str) -> Loaded:
    """Add a model's loaders.

    Raises:
        NoCounterpartError: a declaration that no checkpoint is, or with more than loaders give.
    """
    spec = prompt.models[name]
    if left := sorted(set(spec) - _KNOWN):
        raise NoCounterpartError("inputs.model", f"{name}: {', '.join(left)} has no loader")
    checkpoint = prompt.add("CheckpointLoaderSimple", ckpt_name=_file(spec, "source", name))
    net: Out = [checkpoint, 0]
    clip: Out = [checkpoint, 1]
    vae: Out = [checkpoint, 2]
    for lora in spec.get("loras") or []:
        strength = float(lora.get("scale", 1))
        made = prompt.add(
            "LoraLoader",
            model=net,
            clip=clip,
            lora_name=_file(lora, "source", name),
            strength_model=strength,
            strength_clip=strength,
        )
        net, clip = [made, 0], [made, 1]
    components = dict(spec.get("components") or {})
    own = (
        {"vae": spec["vae"]}
        if spec.get("vae")
        else {"vae": components.pop("vae")}
        if "vae" in components
        else {}
    )
    if components:
        raise NoCounterpartError("inputs.model", f"{name}: components {', '.join(components)} have no loader")
    if own:
        vae = prompt.out("VAELoader", vae_name=_file(own, "vae", name))
    return Loaded(net, clip, vae)


def controlnet_file(prompt: Prompt, model: str, name: str) -> str:
    """The file of one of a model's ControlNets."""
    nets = prompt.models[model].get("controlnets") or {}
    if not isinstance(nets, Mapping) or name not in nets:
        raise NoCounterpartError("params.controlnets", f"no ControlNet {name!r} in {model}")
    return _file(nets, name, model)


def _file(spec: Mapping[str, Any], key: str, name: str) -> str:
    """A file's name, as ComfyUI lists it below its folder."""
    place = spec.get(key)
    path = place.get("file") if isinstance(place, Mapping) else place
    if not isinstance(path, str) or not path.endswith(_FILES):
        raise NoCounterpartError("inputs.model", f"{name}: {key} is no file", "a file of ComfyUI's models")
    return PurePosixPath(path.replace("\\", "/")).name
