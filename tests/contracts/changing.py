"""Every kind of file that a run opens: a small graph that reads it, and other bytes with another result."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageFont
from safetensors.torch import load_file, save_file

import flowsynth as fs
from flowsynth.operators.control.annotate import Annotate
from flowsynth.operators.diffusion.denoise import Denoise
from flowsynth.operators.diffusion.empty_latents import EmptyLatents
from flowsynth.operators.diffusion.text_encode import TextEncode
from flowsynth.operators.diffusion.vae_decode import VaeDecode
from flowsynth.operators.files.encode_video import EncodeVideo
from flowsynth.operators.files.read_image import ReadImage
from flowsynth.operators.files.read_video import ReadVideo
from flowsynth.operators.picture.overlay import Overlay
from tests.nets.tiny import tiny_hed
from tests.operators.media_files import write_clip
from tests.tiny import tiny_sd


@dataclass(frozen=True)
class Case:
    """A file that a graph reads.

    Attributes:
        graph: the graph, whose last node is its output.
        node: where it is opened.
        file: which it is.
        other: other bytes for it, with which the result differs.
    """

    graph: fs.Graph
    node: str
    file: Path
    other: bytes


def _picture(path: Path, colour: tuple[int, int, int]) -> Path:
    Image.new("RGB", (16, 16), colour).save(path)
    return path


def _bytes_of(write: Callable[[Path], object], folder: Path, suffix: str) -> bytes:
    path = folder / f"other{suffix}"
    write(path)
    data = path.read_bytes()
    path.unlink()
    return data


def video(folder: Path) -> Case:
    """A clip, read in chunks."""
    file = write_clip(folder / "clip.mkv", 6)
    graph = fs.Graph("g")
    graph.add("read", ReadVideo(path=str(file)))
    graph.outputs = ["read"]
    return Case(graph, "read", file, _bytes_of(lambda p: write_clip(p, 6, size=(48, 64)), folder, ".mkv"))


def picture(folder: Path) -> Case:
    """A picture."""
    file = _picture(folder / "a.png", (200, 10, 10))
    graph = fs.Graph("g")
    graph.add("read", ReadImage(path=str(file)))
    graph.outputs = ["read"]
    return Case(graph, "read", file, _bytes_of(lambda p: _picture(p, (9, 200, 1)), folder, ".png"))


def _shown(folder: Path, operator: Overlay, file: Path, other: bytes) -> Case:
    graph = fs.Graph("g")
    base = graph.add("base", ReadImage(path=str(_picture(folder / "base.png", (5, 5, 200)))))
    graph.add("show", operator, frames=base)
    graph.outputs = ["show"]
    return Case(graph, "show", file, other)


def logo(folder: Path) -> Case:
    """A picture that is laid over."""
    file = _picture(folder / "logo.png", (200, 10, 10))
    other = _bytes_of(lambda p: _picture(p, (9, 200, 1)), folder, ".png")
    return _shown(folder, Overlay(file=file, size=0.5), file, other)


def font(folder: Path) -> Case:
    """A font; the other one has its letters widened by its header."""
    built_in = ImageFont.load_default(10)
    assert isinstance(built_in, ImageFont.FreeTypeFont)
    data = bytes(built_in.font_bytes)
    (folder / "a.ttf").write_bytes(data)
    at = data.index(b"head", 12)  # the table's entry: tag, checksum, offset, length
    head = int.from_bytes(data[at + 8 : at + 12], "big")
    units = int.from_bytes(data[head + 18 : head + 20], "big")
    other = data[: head + 18] + (units * 2).to_bytes(2, "big") + data[head + 20 :]
    operator = Overlay(text="M", size=0.8, font=folder / "a.ttf")
    return _shown(folder, operator, folder / "a.ttf", other)


def sound(folder: Path) -> Case:
    """The sound of a video."""
    file = write_clip(folder / "sound.mkv", 6, sound=True)
    graph = fs.Graph("g")
    frames = graph.add("read", ReadVideo(path=str(write_clip(folder / "clip.mkv", 6))))
    graph.add("video", EncodeVideo(audio=str(file)), frames=frames)
    graph.outputs = ["video"]
    return Case(graph, "video", file, _bytes_of(lambda p: write_clip(p, 3, sound=True), folder, ".mkv"))


def network(folder: Path) -> Case:
    """The weights of one of our own networks."""
    state = tiny_hed().state_dict()
    save_file(state, folder / "hed.safetensors")
    other = {name: tensor * 0.5 for name, tensor in state.items()}
    graph = fs.Graph("g")
    base = graph.add("base", ReadImage(path=str(_grey(folder / "base.png"))))
    graph.add("lines", Annotate(detector="hed", weights=str(folder / "hed.safetensors")), frames=base)
    graph.outputs = ["lines"]
    new = _bytes_of(lambda p: save_file(other, p), folder, ".safetensors")
    return Case(graph, "lines", folder / "hed.safetensors", new)


def _grey(path: Path) -> Path:
    Image.radial_gradient("L").resize((32, 32)).convert("RGB").save(path)
    return path


def _base(folder: Path) -> Path:
    shutil.copytree(tiny_sd() / "base", folder / "base")
    return folder / "base"


def _prompted(source: Path, node: str, file: Path, other: bytes, **extra: Any) -> Case:
    """A picture of a prompt, by a tiny Stable Diffusion."""
    graph = fs.Graph("g")
    model = graph.model("base", {"family": "sd", "source": str(source), **extra})
    text = graph.add("text", TextEncode(prompt="a cat <w>"), model=model)
    latents = graph.add("empty", EmptyLatents(width=32, height=32), model=model)
    steps = Denoise(num_inference_steps=1, guidance_scale=1.0, seed=0)
    done = graph.add("denoise", steps, model=model, latents=latents, conditioning=text)
    graph.add("decode", VaeDecode(), model=model, latents=done)
    graph.outputs = ["text" if node == "text" else "decode"]
    return Case(graph, node, file, other)


def _scaled(file: Path, folder: Path) -> bytes:
    """The same weights, smaller."""
    tensors = {k: t * 0.7 if t.is_floating_point() else t for k, t in load_file(file).items()}
    return _bytes_of(lambda p: save_file(tensors, p, {"format": "pt"}), folder, ".safetensors")


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
    extra = {"loras": [{"source": str(file)}]}
    return _prompted(tiny_sd() / "base", "denoise", file, _scaled(file, folder), **extra)


def embedding(folder: Path) -> Case:
    """A learned word."""
    file = folder / "w.safetensors"
    save_file({"<w>": torch.ones(1, 32)}, file)
    other = _bytes_of(lambda p: save_file({"<w>": -torch.ones(1, 32)}, p), folder, ".safetensors")
    extra = {"textual_inversion": [{"source": str(file)}]}
    return _prompted(tiny_sd() / "base", "text", file, other, **extra)


def vae(folder: Path) -> Case:
    """A VAE of another folder."""
    shutil.copytree(tiny_sd() / "base/vae", folder / "vae")
    file = folder / "vae/diffusion_pytorch_model.safetensors"
    other = _scaled(file, folder)
    return _prompted(tiny_sd() / "base", "decode", file, other, vae=str(folder / "vae"))


CASES: dict[str, Callable[[Path], Case]] = {
    case.__name__: case
    for case in (video, picture, logo, font, sound, network, unet, config, tokenizer, lora, embedding, vae)
}
