"""What bfloat16 gives on a CPU: time and likeness to float32, for each shipped or published network.

Run::

    python benchmarks/precision.py [--out benchmarks/results/precision.md]

On two neighbouring frames of a film, one thread, the better CPU time of three calls. dB is the peak
signal-to-noise ratio of the bfloat16 result to the float32 one, by the span of the latter.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import torch
from report import machine, publish
from torch import Tensor

from flowsynth.cache.location import default_cache_dir
from flowsynth.core.context import RunContext
from flowsynth.models import ModelManager, parse_model
from flowsynth.models.families.sd.model import SdModel
from flowsynth.operators.control.annotate import Annotate
from flowsynth.operators.files.read_video import ReadVideo
from flowsynth.operators.size.upscale import Upscale
from flowsynth.operators.timing.interpolate import Interpolate
from flowsynth.values import Frames

Call = Callable[[], Tensor]
DTYPES = ("float32", "bfloat16")


def timed(call: Call) -> tuple[float, Tensor]:
    """CPU seconds of a call, and what it gives."""
    made, best = call(), float("inf")
    for _ in range(3):
        start = time.process_time()
        made = call()
        best = min(best, time.process_time() - start)
    return best, made.float()


def pocket(dtype: str, frames: Tensor) -> Iterator[tuple[str, Call]]:
    """The networks of the shipped model, on four frames' worth of latents."""
    nets = {name: f"shipped:pocket/controlnet_{name}" for name in ("lines", "tile")}
    entry = {"family": "sd", "source": "shipped:pocket", "controlnets": nets, "dtype": dtype}
    model = cast("SdModel", ModelManager().load(parse_model("base", entry)))
    pixels = frames[:1].to(model.dtype)
    draw = torch.Generator().manual_seed(0)
    height, width = (side // 4 for side in pixels.shape[-2:])
    latents = torch.randn(4, 8, height, width, generator=draw).to(model.dtype)
    text = torch.randn(4, 77, 96, generator=draw).to(model.dtype)
    moment = torch.tensor(199)
    yield "UNet", lambda: model.unet(latents, moment, text, return_dict=False)[0]
    maps = pixels.expand(4, -1, -1, -1)
    net = model.controlnet("tile")
    yield "ControlNet", lambda: net(latents, moment, text, maps, return_dict=False)[1]
    yield "VAE, encoder", lambda: model.vae.encoder(pixels * 2 - 1)
    yield "VAE, decoder", lambda: model.vae.decode(latents[:1], return_dict=False)[0]


def operators(dtype: Any, frames: Tensor, ctx: RunContext) -> Iterator[tuple[str, Call]]:
    """Operators with published networks, on a part of the frames."""
    part = Frames(frames[..., 20:84, 100:196].contiguous())
    methods: tuple[Any, ...] = ("realesr-animevideo", "x4plus-anime", "basicvsr")
    for method in methods:
        up = Upscale(method=method, factor=2, precision=dtype)
        yield method, lambda up=up: up.run(ctx, frames=part).tensor  # type: ignore[misc]
    rife = Interpolate(method="rife", factor=2, precision=dtype)
    yield "rife", lambda: rife.run(ctx, frames=part).tensor
    hed = Annotate(detector="hed", precision=dtype)
    yield "hed", lambda: hed.run(ctx, frames=part).tensor


def measured(ctx: RunContext) -> list[str]:
    """A row of the table for each network."""
    clip = ReadVideo(path="clip:bikes#5.5", max_frames=2, short_side=192, dtype="float32")
    frames = clip.run(ctx).tensor[:, :, :192, :448]
    rows = []
    both = [[*pocket(d, frames), *operators(d, frames, ctx)] for d in DTYPES]
    with torch.no_grad():
        for (name, full), (_, half) in zip(*both, strict=True):
            (slow, exact), (quick, near) = timed(full), timed(half)
            span = float(exact.max() - exact.min())
            decibels = 20 * torch.log10(span / (exact - near).square().mean().sqrt())
            rows.append(f"| {name} | {slow:.2f} | {quick:.2f} | {quick / slow:.2f} | {decibels:.1f} |")
            print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Measure, print, and write the report if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = measured(RunContext(cache_dir=default_cache_dir()))
    head = ["# bfloat16 on a CPU", "", "| network | float32, CPU s | bfloat16 | ratio | dB to float32 |"]
    note = (
        "`auto` is bfloat16 for these on CPUs with AVX512-BF16 or AMX, and float32 on all others, where it is"
    )
    lines = [
        *head,
        "|---|---:|---:|---:|---:|",
        *rows,
        "",
        note,
        "emulated and 10 to 80 times slower. Of other",
    ]
    lines += [
        "networks (line art, depth, SPyNet's flow, LPIPS, pipelines of family `diffusers`) it is float32",
        "everywhere but on a GPU: they were not tried with their published weights.",
        "",
    ]
    publish([*lines, machine("torch"), "- `python benchmarks/precision.py`"], args.out)


if __name__ == "__main__":
    main()
