"""Models as a graph declares them: files by ComfyUI's folders, what they lack by the shipped models."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from flowsynth.comfyui.mapping.architectures import ARCHITECTURES, Arch
from flowsynth.comfyui.mapping.denoise_sd import control_name
from flowsynth.comfyui.mapping.values import Adapter, Clip, File, Net, Use
from flowsynth.core.canonical import Json
from flowsynth.core.shipped import shipped_folder

_WORD = re.compile(r"embedding:([\w.\-/\\ ]*?[\w\-])(?=[\s,:)(]|$)")
#: Shipped models' fields that say how graphs use them, not what they are.
_ELSEWHERE = ("draw", "redraw", "defaults")


def place(file: File) -> str:
    """Where a file lies, below the folder that the user names."""
    return f"${{models_folder}}/{file.folder}/{file.name}"


def declared(use: Use, prompts: Iterable[str]) -> tuple[dict[str, Json], list[str]]:
    """A model's declaration, and comments on it.

    Args:
        use: what nodes need of it.
        prompts: texts that it encodes, which name learned words.
    """
    arch = ARCHITECTURES[use.arch or "sd1"]
    if arch.family == "sd" and not use.pipeline:
        return _sd(use, prompts), []
    return _pipeline(use, arch)


def _sd(use: Use, prompts: Iterable[str]) -> dict[str, Json]:
    source = _base(use)
    spec: dict[str, Any] = {"family": "sd", "source": place(source)}
    if use.vae is not None and not (use.vae.whole and use.vae.file == source):
        spec["vae"] = place(use.vae.file)
    if use.controls:
        spec["controlnets"] = {control_name(each.file.name): place(each.file) for each in use.controls}
    net = use.net
    if net is not None and net.motion is not None:
        spec |= {"motion": place(net.motion.file), "motion_norm": "frame"}
    loras = net.loras if net is not None else use.clip.loras if use.clip is not None else ()
    if loras:
        spec["loras"] = _loras(loras)
    words = sorted({word for prompt in prompts for word in _WORD.findall(prompt)})
    if words:
        spec["textual_inversion"] = [
            {"source": place(File("embeddings", _with_ending(word))), "token": f"embedding:{word}"}
            for word in words
        ]
    return spec


def _with_ending(word: str) -> str:
    return word if word.endswith((".pt", ".safetensors", ".bin")) else f"{word}.safetensors"


def _loras(loras: Iterable[Adapter]) -> list[Json]:
    return [
        {"source": place(each.file), "scale": each.strength}
        if each.strength != 1
        else {"source": place(each.file)}
        for each in loras
    ]


def _base(use: Use) -> File:
    """The checkpoint of a model."""
    for part in (use.net, use.vae):
        if part is not None and part.whole:
            return part.file
    if use.clip is not None and use.clip.files:
        return use.clip.files[0]
    return (
        use.net.file
        if use.net is not None
        else use.vae.file
        if use.vae is not None
        else File("checkpoints", "?")
    )


def _pipeline(use: Use, arch: Arch) -> tuple[dict[str, Json], list[str]]:
    net = use.net
    whole = net is None or (net.whole and not arch.flow)
    spec, notes = ({}, []) if whole else _surroundings(use, arch)
    spec |= {"family": "diffusers"}
    spec["pipeline"] = use.pipeline or arch.pipelines.get("text") or next(iter(arch.pipelines.values()))
    parts: dict[str, Json] = {}
    if whole:
        spec["source"] = place(_base(use))
        if use.vae is not None and not use.vae.whole:
            parts["vae"] = place(use.vae.file)
    elif net is not None:
        parts[arch.denoiser] = place(net.file)
        if use.second is not None:
            parts[f"{arch.denoiser}_2"] = place(use.second.file)
    parts |= _controls(use, notes)
    parts |= _encoder(net)
    if parts:
        spec["components"] = parts
    if net is not None and net.loras:
        spec["loras"] = _loras(net.loras)
    if net is not None and net.prompting:
        spec["ip_adapters"] = [
            {"source": place(each.adapter), "scale": each.weight} for each in net.prompting
        ]
    order = ("family", "pipeline", "dtype", "source")
    return {name: spec[name] for name in (*order, *spec) if name in spec}, notes


def _controls(use: Use, notes: list[str]) -> dict[str, Json]:
    if not use.controls:
        return {}
    file = place(use.controls[0].file)
    folder = file.rpartition(".")[0] or file
    notes.append("the ControlNet's config: a folder with the config.json that describes its file")
    return {"controlnet": {"file": file, "config": folder}}


def _encoder(net: Net | None) -> dict[str, Json]:
    """The encoder of pictures that IP-Adapters need: a folder of transformers."""
    if net is None or not net.prompting:
        return {}
    file = net.prompting[0].encoder or File("clip_vision", "CLIP-ViT-H-14-laion2B-s32B-b79K")
    return {"image_encoder": {"path": place(file).removesuffix(".safetensors")}}


def _surroundings(use: Use, arch: Arch) -> tuple[dict[str, Json], list[str]]:
    """What is beside a denoiser's file: the shipped model's parts, or a folder to be put there."""
    clip: Clip | None = use.clip
    named = [each.name for each in (clip.files if clip is not None else ())]
    if use.vae is not None and not use.vae.whole:
        named.append(use.vae.file.name)
    instead = f" in the place of {', '.join(named)}" if named else ""
    conf = _shipped(arch.conf) if arch.conf else {}
    source = conf.get("source")
    if isinstance(source, dict) and source.get("revision") != "???":
        notes = [f"text encoders, VAE and scheduler of conf/model/{arch.conf}.yaml{instead}"]
        return {name: value for name, value in conf.items() if name not in _ELSEWHERE}, notes
    hub = str(source.get("hub")).rpartition("/")[2] if isinstance(source, dict) else arch.folder
    folder = f"${{models_folder}}/diffusers/{hub}"
    notes = [f"source: a folder in diffusers' layout, for text encoders, VAE and scheduler{instead}"]
    return {"dtype": "bfloat16", "source": {"path": folder}}, notes


@cache
def _shipped(name: str) -> dict[str, Json]:
    import yaml

    found: dict[str, Json] = yaml.safe_load(
        (shipped_folder("conf") / "model" / f"{name}.yaml").read_text("utf-8")
    )
    return found
