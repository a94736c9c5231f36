"""One case called in three ways: by hand, and as a graph of the engine."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

import flowsynth as fs
from flowsynth.models.families.diffusers.facts import facts
from flowsynth.models.families.diffusers.ports import picture_arguments
from flowsynth.operators.diffusion.denoise import Denoise
from flowsynth.operators.diffusion.empty_latents import EmptyLatents
from flowsynth.operators.diffusion.text_encode import TextEncode
from flowsynth.operators.diffusion.vae_decode import VaeDecode
from flowsynth.values import Frames
from tests.models.families.diffusers.zoo.case import Case

SEED = 1
#: More frames than any case has: a decoder's last bits depend on how many it gets.
AT_ONCE = 64


class Noise(fs.Operator):
    """A clip of random pictures."""

    op = "zoo_noise"
    version = 1
    count: int = 1
    height: int = 32
    width: int = 32
    channels: int = 3

    def run(self, ctx: Any, /) -> Frames:
        return noise(self.count, self.height, self.width, self.channels)


def noise(count: int, height: int, width: int, channels: int) -> Frames:
    generator = torch.Generator().manual_seed(count + channels)
    data = torch.rand(count, channels, height, width, generator=generator)
    return Frames((data * 255).to(torch.uint8))


def build(case: Case, folder: Path) -> type[Any]:
    """Save a case's pipeline; its class."""
    cls, made = _saved(case.build)
    shutil.copytree(made, folder, dirs_exist_ok=True)
    return cls


@cache
def _saved(make: Callable[[], Any]) -> tuple[type[Any], Path]:
    """A pipeline's class and its folder, made once a process."""
    torch.manual_seed(0)
    pipe = make()
    draw_buffers(pipe)
    folder = Path(tempfile.mkdtemp(prefix="zoo-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    pipe.save_pretrained(folder)
    return type(pipe), folder


def draw_buffers(pipe: Any) -> None:
    """Draw what classes begin with zeros and ones: means of latents, running statistics.

    Pipelines read them off a network that they have not called yet, and only the checkpoint knows them.
    """
    for part in pipe.components.values():
        for layer in part.modules() if isinstance(part, torch.nn.Module) else ():
            for name in {*layer._buffers} - layer._non_persistent_buffers_set:
                buffer = layer._buffers[name]
                if buffer is not None and buffer.is_floating_point():
                    buffer.uniform_(0.5, 1.5)


def size_of(case: Case) -> dict[str, int]:
    return {"height": 32, "width": 32, **case.size}


def clip_of(case: Case, port: str) -> dict[str, int]:
    size = size_of(case)
    channels = 1 if port == "mask" else 3
    return {
        "count": case.frames[port],
        "height": size["height"],
        "width": size["width"],
        "channels": channels,
    }


def by_hand(
    cls: type[Any],
    case: Case,
    folder: Path,
    text: Mapping[str, Any] | None = None,
    change: Callable[[Any], None] | None = None,
    load: Mapping[str, Any] | None = None,
) -> torch.Tensor:
    """The pipeline's own call: T x 3 x H x W in [0, 1]; of what its decoder gave, where `load` says a dtype.

    The library rounds pixels to half precision once more, the engine does not.
    """
    known = facts(cls.__name__)
    pipe = cls.from_pretrained(folder, **(load or {}))
    pipe.set_progress_bar_config(disable=True)
    if change is not None:
        change(pipe)
    given = decoded_by(getattr(pipe, known.decoder)) if load else []
    size = size_of(case)
    count = size.get("num_frames", case.frames.get("video", 1))
    sizes = {**size, "video_length": count, "decode_chunk_size": AT_ONCE}
    fixed = {**sizes, "use_resolution_binning": False}
    clips = {port: [noise(**clip_of(case, port))] for port in case.frames}
    words = dict(case.text or {}) if text is None else dict(text)
    settings = {
        {"control_scale": "controlnet_conditioning_scale"}.get(k, k): v for k, v in case.settings.items()
    }
    torch.manual_seed(SEED)
    made = pipe(
        **{name: value for name, value in fixed.items() if name in known.arguments},
        **settings, **case.options, **words, **picture_arguments(known, clips),
        generator=torch.Generator().manual_seed(SEED), output_type="np",
    )[0]  # fmt: skip
    if given:
        return pixels_of(given[-1])
    frames = torch.as_tensor(np.asarray(made))
    return (frames[0] if frames.ndim == 5 else frames).movedim(-1, 1)


def pixels_of(decoded: Any) -> torch.Tensor:
    """Frames in [0, 1] of what a decoder gave."""
    data: torch.Tensor = decoded[0] if isinstance(decoded, tuple) else decoded.sample
    raw = data[0].transpose(0, 1) if data.ndim == 5 else data
    return (raw.float() / 2 + 0.5).clamp(0, 1).cpu()


def decoded_by(decoder: Any) -> list[Any]:
    """What a decoder gives from now on."""
    given: list[Any] = []
    decode = decoder.decode

    def remembered(*args: Any, **kwargs: Any) -> Any:
        given.append(decode(*args, **kwargs))
        return given[-1]

    decoder.decode = remembered
    return given


def graph_of(
    case: Case,
    folder: Path,
    text: Mapping[str, Any] | None = None,
    seed: int = SEED,
    settings: Mapping[str, Any] | None = None,
    **spec: Any,
) -> fs.Graph:
    """The same as a graph."""
    graph = fs.Graph("zoo")
    model = graph.model("m", {"family": "diffusers", "source": str(folder), **spec})
    inputs: dict[str, Any] = {}
    words = case.text if text is None else text
    if words is not None:
        prompts = {k: v for k, v in words.items() if k in ("prompt", "negative_prompt")}
        options = {k: v for k, v in words.items() if k not in prompts}
        text_node = TextEncode(**prompts, options=options)
        inputs["conditioning"] = graph.add("text", text_node, model=model, cache="always")
    for port in case.frames:
        clip = graph.add(port, Noise(**clip_of(case, port)))
        inputs[port] = [clip] if port in ("control", "image_prompt") else clip
    size = size_of(case)
    latents = graph.add("size", EmptyLatents(**size), model=model)
    denoise = Denoise(seed=seed, options=dict(case.options), **{**case.settings, **(settings or {})})
    made = graph.add("denoise", denoise, model=model, latents=latents, **inputs)
    graph.add("frames", VaeDecode(dtype="float32", batch_size=AT_ONCE), model=model, latents=made)
    return graph
