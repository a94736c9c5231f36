"""Every kind of file that a run opens, models aside: a graph that reads it, and bytes with another result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageFont
from safetensors.torch import save_file

import flowsynth as fs
from flowsynth.operators.control.annotate import Annotate
from flowsynth.operators.files.encode_video import EncodeVideo
from flowsynth.operators.files.read_image import ReadImage
from flowsynth.operators.files.read_video import ReadVideo
from flowsynth.operators.picture.overlay import Overlay
from flowsynth.operators.size.upscale import Upscale
from flowsynth.operators.sound.read_audio import ReadAudio
from tests.nets.tiny import tiny_hed, tiny_srvgg
from tests.operators.media_files import write_clip


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


def saved(path: Path, colour: tuple[int, int, int]) -> Path:
    Image.new("RGB", (16, 16), colour).save(path)
    return path


def bytes_of(write: Callable[[Path], object], folder: Path, suffix: str) -> bytes:
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
    return Case(graph, "read", file, bytes_of(lambda p: write_clip(p, 6, size=(48, 64)), folder, ".mkv"))


def picture(folder: Path) -> Case:
    """A picture."""
    file = saved(folder / "a.png", (200, 10, 10))
    graph = fs.Graph("g")
    graph.add("read", ReadImage(path=str(file)))
    graph.outputs = ["read"]
    return Case(graph, "read", file, bytes_of(lambda p: saved(p, (9, 200, 1)), folder, ".png"))


def _shown(folder: Path, operator: Overlay, file: Path, other: bytes) -> Case:
    graph = fs.Graph("g")
    base = graph.add("base", ReadImage(path=str(saved(folder / "base.png", (5, 5, 200)))))
    graph.add("show", operator, frames=base)
    graph.outputs = ["show"]
    return Case(graph, "show", file, other)


def _several(folder: Path, path: str) -> Case:
    (folder / "shots").mkdir()
    for i in range(3):
        file = saved(folder / "shots" / f"{i}.png", (200, 10, 40 * i))
    graph = fs.Graph("g")
    graph.add("read", ReadImage(path=str(folder / "shots" / path)))
    graph.outputs = ["read"]
    return Case(graph, "read", file, bytes_of(lambda p: saved(p, (9, 200, 1)), folder, ".png"))


def pictures(folder: Path) -> Case:
    """A folder of pictures."""
    return _several(folder, "")


def pattern(folder: Path) -> Case:
    """Pictures by a pattern."""
    return _several(folder, "*.png")


def logo(folder: Path) -> Case:
    """A picture that is laid over."""
    file = saved(folder / "logo.png", (200, 10, 10))
    other = bytes_of(lambda p: saved(p, (9, 200, 1)), folder, ".png")
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
    return Case(graph, "video", file, bytes_of(lambda p: write_clip(p, 3, sound=True), folder, ".mkv"))


def track(folder: Path) -> Case:
    """Sound by itself."""
    file = write_clip(folder / "sound.mkv", 6, sound=True)
    graph = fs.Graph("g")
    graph.add("sound", ReadAudio(path=str(file)))
    graph.outputs = ["sound"]
    return Case(graph, "sound", file, bytes_of(lambda p: write_clip(p, 3, sound=True), folder, ".mkv"))


def upscaler(folder: Path) -> Case:
    """The weights of a network for super-resolution."""
    state = tiny_srvgg(2).state_dict()
    save_file(state, folder / "up.safetensors")
    other = {name: tensor * 0.5 for name, tensor in state.items()}
    graph = fs.Graph("g")
    base = graph.add("base", ReadImage(path=str(grey(folder / "base.png"))))
    enlarge = Upscale(method="network", weights=str(folder / "up.safetensors"), factor=2)
    graph.add("large", enlarge, frames=base)
    graph.outputs = ["large"]
    new = bytes_of(lambda p: save_file(other, p), folder, ".safetensors")
    return Case(graph, "large", folder / "up.safetensors", new)


def network(folder: Path) -> Case:
    """The weights of one of our own networks."""
    state = tiny_hed().state_dict()
    save_file(state, folder / "hed.safetensors")
    other = {name: tensor * 0.5 for name, tensor in state.items()}
    graph = fs.Graph("g")
    base = graph.add("base", ReadImage(path=str(grey(folder / "base.png"))))
    graph.add("lines", Annotate(detector="hed", weights=str(folder / "hed.safetensors")), frames=base)
    graph.outputs = ["lines"]
    new = bytes_of(lambda p: save_file(other, p), folder, ".safetensors")
    return Case(graph, "lines", folder / "hed.safetensors", new)


def grey(path: Path) -> Path:
    Image.radial_gradient("L").resize((32, 32)).convert("RGB").save(path)
    return path


CASES: dict[str, Callable[[Path], Case]] = {
    case.__name__: case
    for case in (video, picture, pictures, pattern, logo, font, sound, track, network, upscaler)
}
