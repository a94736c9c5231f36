"""Every file of models that a run opens: a small graph that reads it, and other bytes with another result."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

import flowsynth as fs
from flowsynth.operators.diffusion.denoise import Denoise
from flowsynth.operators.diffusion.empty_latents import EmptyLatents
from flowsynth.operators.diffusion.text_encode import TextEncode
from flowsynth.operators.diffusion.vae_decode import VaeDecode
from flowsynth.operators.files.read_image import ReadImage
from tests.contracts.changing import Case, bytes_of, grey
from tests.models.single_file import single_file
from tests.tiny import tiny_sd


def _base(folder: Path) -> Path:
    shutil.copytree(tiny_sd() / "base", folder / "base")
    return folder / "base"


def _prompted(
    source: Path | dict[str, str],
    node: str,
    file: Path,
    other: bytes,
    *,
    family: str = "sd",
    frames: int = 1,
    control: Path | None = None,
    **extra: Any,
) -> Case:
    """A picture of a prompt, by a tiny Stable Diffusion."""
    graph = fs.Graph("g")
    model = graph.model(
        "base", {"family": family, "source": source if isinstance(source, dict) else str(source), **extra}
    )
    text = graph.add("text", TextEncode(prompt="a cat <w>"), model=model)
    latents = graph.add("empty", EmptyLatents(width=32, height=32, num_frames=frames), model=model)
    steps = Denoise(num_inference_steps=1, guidance_scale=1.0, seed=0)
    given: dict[str, Any] = {"model": model, "latents": latents, "conditioning": text}
    if control is not None:
        given["control"] = [graph.add("lines", ReadImage(path=str(control)))]
    done = graph.add("denoise", steps, **given)
    graph.add("decode", VaeDecode(), model=model, latents=done)
    graph.outputs = ["text" if node == "text" else "decode"]
    return Case(graph, node, file, other)


def _scaled(file: Path, folder: Path) -> bytes:
    """The same weights, smaller."""
    tensors = {k: t * 0.7 if t.is_floating_point() else t for k, t in load_file(file).items()}
    return bytes_of(lambda p: save_file(tensors, p, {"format": "pt"}), folder, ".safetensors")


def _edited(file: Path, **changes: object) -> bytes:
    return json.dumps({**json.loads(file.read_text()), **changes}).encode()


def unet(folder: Path) -> Case:
    """A network of a model's folder."""
    base = _base(folder)
    file = base / "unet/diffusion_pytorch_model.safetensors"
    return _prompted(base, "denoise", file, _scaled(file, folder))


def config(folder: Path) -> Case:
    """A configuration."""
    base = _base(folder)
    file = base / "vae/config.json"
    return _prompted(base, "decode", file, _edited(file, scaling_factor=0.5))


def tokenizer(folder: Path) -> Case:
    """A tokenizer, whose other form gives the words other numbers."""
    base = _base(folder)
    file = next(p for n in ("vocab.json", "tokenizer.json") if (p := base / "tokenizer" / n).is_file())
    data = json.loads(file.read_text())
    vocab = data if file.name == "vocab.json" else data["model"]["vocab"]
    vocab["cat</w>"], vocab["a</w>"] = vocab["a</w>"], vocab["cat</w>"]
    return _prompted(base, "text", file, json.dumps(data).encode())


def lora(folder: Path) -> Case:
    """A LoRA that a trainer writes again."""
    shutil.copytree(tiny_sd() / "lora", folder / "lora")
    (file,) = (folder / "lora").glob("*.safetensors")
    extra: dict[str, Any] = {"loras": [{"source": str(file)}]}
    return _prompted(tiny_sd() / "base", "denoise", file, _scaled(file, folder), **extra)


def embedding(folder: Path) -> Case:
    """A learned word."""
    file = folder / "w.safetensors"
    save_file({"<w>": torch.ones(1, 32)}, file)
    other = bytes_of(lambda p: save_file({"<w>": -torch.ones(1, 32)}, p), folder, ".safetensors")
    extra: dict[str, Any] = {"textual_inversion": [{"source": str(file)}]}
    return _prompted(tiny_sd() / "base", "text", file, other, **extra)


def vae(folder: Path) -> Case:
    """A VAE of another folder."""
    shutil.copytree(tiny_sd() / "base/vae", folder / "vae")
    file = folder / "vae/diffusion_pytorch_model.safetensors"
    other = _scaled(file, folder)
    return _prompted(tiny_sd() / "base", "decode", file, other, vae=str(folder / "vae"))


def _weights(folder: Path) -> Path:
    return folder / "diffusion_pytorch_model.safetensors"


def controlnet(folder: Path) -> Case:
    """A ControlNet."""
    net = shutil.copytree(tiny_sd() / "controlnet_lines", folder / "net")
    extra: dict[str, Any] = {"controlnets": {"lines": str(net)}, "control": grey(folder / "lines.png")}
    return _prompted(tiny_sd() / "base", "denoise", _weights(net), _scaled(_weights(net), folder), **extra)


def motion(folder: Path) -> Case:
    """A motion adapter."""
    net = shutil.copytree(tiny_sd() / "motion_adapter", folder / "net")
    other = _scaled(_weights(net), folder)
    return _prompted(tiny_sd() / "base", "denoise", _weights(net), other, frames=2, motion=str(net))


def checkpoint(folder: Path) -> Case:
    """A whole model in one file."""
    file = folder / "all.safetensors"
    save_file(single_file(tiny_sd() / "base"), file)
    other = _scaled(file, folder)
    source = {"file": str(file), "config": str(tiny_sd() / "base")}
    return _prompted(source, "denoise", file, other)


def scheduler(folder: Path) -> Case:
    """A scheduler's configuration."""
    base = _base(folder)
    file = base / "scheduler/scheduler_config.json"
    return _prompted(base, "denoise", file, _edited(file, prediction_type="v_prediction"))


def _of_pipeline(folder: Path, node: str, name: str, change: Callable[[Path, Path], bytes]) -> Case:
    base = _base(folder)
    file = base / name
    return _prompted(base, node, file, change(file, folder), family="diffusers")


def pipeline_network(folder: Path) -> Case:
    """A network of a pipeline."""
    return _of_pipeline(folder, "denoise", "unet/diffusion_pytorch_model.safetensors", _scaled)


def pipeline_config(folder: Path) -> Case:
    """A configuration of a pipeline's part."""

    def change(file: Path, _: Path) -> bytes:
        return _edited(file, scaling_factor=0.5)

    return _of_pipeline(folder, "decode", "vae/config.json", change)


def pipeline_scheduler(folder: Path) -> Case:
    """A pipeline's scheduler."""

    def change(file: Path, _: Path) -> bytes:
        return _edited(file, prediction_type="v_prediction")

    return _of_pipeline(folder, "denoise", "scheduler/scheduler_config.json", change)


def pipeline_words(folder: Path) -> Case:
    """A pipeline's text encoder."""
    return _of_pipeline(folder, "text", "text_encoder/model.safetensors", _scaled)


def pipeline_part(folder: Path) -> Case:
    """A part of a pipeline that lies elsewhere."""
    net = shutil.copytree(tiny_sd() / "base/vae", folder / "vae")
    extra: dict[str, Any] = {"components": {"vae": str(net)}}
    other = _scaled(_weights(net), folder)
    return _prompted(tiny_sd() / "base", "decode", _weights(net), other, family="diffusers", **extra)


def pipeline_lora(folder: Path) -> Case:
    """A pipeline's LoRA."""
    shutil.copytree(tiny_sd() / "lora", folder / "lora")
    (file,) = (folder / "lora").glob("*.safetensors")
    extra: dict[str, Any] = {"loras": [{"source": str(file)}]}
    other = _scaled(file, folder)
    return _prompted(tiny_sd() / "base", "denoise", file, other, family="diffusers", **extra)


MODELS: dict[str, Callable[[Path], Case]] = {
    case.__name__: case
    for case in (
        unet, config, tokenizer, lora, embedding, vae, controlnet, motion, checkpoint, scheduler,
        pipeline_network, pipeline_config, pipeline_scheduler, pipeline_words, pipeline_part, pipeline_lora,
    )
}  # fmt: skip
