"""Small real operators on streams, for the tests of the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

import flowsynth as fs
from flowsynth.core.streams import (
    Fold,
    Map,
    Reads,
    Resample,
    Scan,
    Source,
    StreamInfo,
    StreamKind,
    Window,
)
from flowsynth.values import Frames, Tensors


def picture(index: int, seed: int = 0, size: int = 8) -> torch.Tensor:
    """One frame that depends only on its index and a seed."""
    generator = torch.Generator().manual_seed(seed * 10_007 + index)
    return torch.randint(0, 256, (3, size, size), dtype=torch.uint8, generator=generator)


def stacked(rows: list[torch.Tensor], like: Frames) -> torch.Tensor:
    """Pictures as frames; there may be none."""
    return torch.stack(rows) if rows else like.tensor[:0]


class Counter(fs.Operator):
    """Frames out of a text file whose lines are the frames' seeds: a source with a file."""

    op = "t_source"
    version = 1
    positional = True
    io = True
    path: Path

    def stream(self) -> StreamKind:
        return Source()

    def files(self, ctx: fs.RunContext) -> Mapping[str, Path]:
        return {"path": self.path}

    def probe(self, ctx: fs.RunContext) -> StreamInfo:
        return StreamInfo(len(self.path.read_text().split()), Fraction(12))

    def run(self, ctx: fs.RunContext, /) -> Frames:
        seeds = [int(word) for word in self.path.read_text().split()]
        start, stop = (ctx.span.start, ctx.span.stop) if ctx.span else (0, len(seeds))
        frames = [picture(seed) for seed in seeds[start:stop]]
        return Frames(torch.stack(frames) if frames else torch.zeros(0, 3, 8, 8, dtype=torch.uint8), 12)


class Invert(fs.Operator):
    """Negative."""

    op = "t_map"
    version = 1
    strength: int = 255

    def stream(self) -> StreamKind:
        return Map()

    def run(self, ctx: fs.RunContext, /, *, frames: Frames) -> Frames:
        return frames.with_data(self.strength - frames.tensor)


class Mean(fs.Operator):
    """Mean over a window of frames."""

    op = "t_window"
    version = 1
    radius: int = 2

    def stream(self) -> StreamKind:
        return Window(self.radius, self.radius)

    def run(self, ctx: fs.RunContext, /, *, frames: Frames) -> Frames:
        data = frames.tensor.to(torch.float64)
        lead, count = (ctx.span.lead, ctx.span.count) if ctx.span else (0, frames.num_frames)
        rows = []
        for i in range(lead, lead + count):
            low, high = max(0, i - self.radius), min(data.shape[0], i + self.radius + 1)
            rows.append(data[low:high].mean(0))
        return frames.with_data(stacked(rows, frames).round().to(torch.uint8))


class Twice(fs.Operator):
    """Every frame twice, the second one mixed with its follower."""

    op = "t_resample"
    version = 1

    def stream(self) -> StreamKind:
        return Resample()

    def output_info(self, inputs: Mapping[str, StreamInfo]) -> StreamInfo:
        info = inputs["frames"]
        return StreamInfo(2 * info.length, info.fps * 2 if info.fps else None)

    def reads(self, start: int, stop: int, inputs: Mapping[str, StreamInfo]) -> Reads:
        low, high = start // 2, min(inputs["frames"].length, stop // 2 + 1)
        return Reads({"frames": (low, high)}, [start - 2 * low])

    def run(self, ctx: fs.RunContext, /, *, frames: Frames) -> Frames:
        data = frames.tensor
        first = 0
        if ctx.span is not None and ctx.span.count:
            assert isinstance(ctx.span.geometry, list)
            (first,) = (int(str(number)) for number in ctx.span.geometry)
        count = ctx.span.count if ctx.span else 2 * frames.num_frames
        rows = []
        for k in range(first, first + count):
            a = data[k // 2]
            b = data[min(k // 2 + 1, data.shape[0] - 1)]
            rows.append(a if k % 2 == 0 else ((a.int() + b.int()) // 2).to(torch.uint8))
        return Frames(stacked(rows, frames), frames.fps * 2 if frames.fps else None, frames.kind)


class Smooth(fs.Operator):
    """Exponential smoothing: a state handed from chunk to chunk."""

    op = "t_scan"
    version = 1

    def stream(self) -> StreamKind:
        return Scan()

    def run(self, ctx: fs.RunContext, /, *, frames: Frames) -> Frames:
        state = ctx.state.tensors["mean"].clone() if ctx.state is not None else None
        rows = []
        for frame in frames.tensor.to(torch.float64):
            state = frame if state is None else 0.5 * state + 0.5 * frame
            rows.append(state)
        if state is not None:
            ctx.state = Tensors({"mean": state})
        return frames.with_data(stacked(rows, frames).round().to(torch.uint8))


class Sum(fs.Operator):
    """A fold: the sum of all pixels, by segments."""

    op = "t_fold"
    version = 1

    def stream(self) -> StreamKind:
        return Fold(segment=20)

    def segment(self, ctx: fs.RunContext, /, *, frames: Frames) -> int:
        return int(sum(part.to(torch.int64).sum() for part in frames.chunks(4)))

    def combine(self, ctx: fs.RunContext, parts: Sequence[int], /, **inputs: Any) -> int:
        return sum(parts)

    def run(self, ctx: fs.RunContext, /, *, frames: Frames) -> int:
        return self.combine(ctx, [self.segment(ctx, frames=frames)])


class Reverse(fs.Operator):
    """Needs all of its input."""

    op = "t_whole"
    version = 1

    def run(self, ctx: fs.RunContext, /, *, frames: Frames) -> Frames:
        return frames.with_data(frames.tensor.flip(0))


def write_source(path: Path, seeds: Sequence[int]) -> Path:
    """A file for `Counter`."""
    path.write_text(" ".join(map(str, seeds)))
    return path
