"""What `dags` lacks: operators of every kind with whole ports, fan-in and two outputs; clips of no frames."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.streams import Fold, Map, Scan, Source, StreamInfo, StreamKind, Window
from flowsynth.operators.timing.concat import Concat
from flowsynth.operators.timing.reverse import Reverse as Backwards
from flowsynth.operators.timing.trim import Trim
from flowsynth.values import Frames, Tensors
from tests.executors.dags import Builder, Halves
from tests.streams import Counter, Invert, Mean, Smooth, Sum, Twice, picture, stacked, write_source


def shade(clip: Frames) -> int:
    """A number that every frame of a clip has a part in, and their order."""
    sums = (frame.to(torch.int64).sum() * (i + 1) for i, frame in enumerate(clip.chunks(1)))
    return int(sum(sums)) % 251


class Spread(fs.Operator):
    """A source without a file."""

    op = "k_spread"
    version = 1
    positional = True
    count: int = 7

    def stream(self) -> StreamKind:
        return Source()

    def probe(self, ctx: RunContext) -> StreamInfo:
        return StreamInfo(self.count, Fraction(12))

    def run(self, ctx: RunContext, /) -> Frames:
        start, stop = (ctx.span.start, ctx.span.stop) if ctx.span else (0, self.count)
        rows = [picture(i // 2, 7) for i in range(start, stop)]  # frames come twice
        return Frames(stacked(rows, Frames(torch.zeros(0, 3, 8, 8, dtype=torch.uint8))), 12)


class Drift(fs.Operator):
    """A scan with a whole port, several streams at once, and one that may be missing."""

    op = "k_drift"
    version = 1
    whole_ports = ("reference",)

    def stream(self) -> StreamKind:
        return Scan()

    def run(
        self, ctx: RunContext, /, *, frames: list[Frames], reference: Frames, other: Frames | None = None
    ) -> Frames:
        level = int(ctx.state.tensors["level"]) if ctx.state is not None else shade(reference)
        rows = []
        for i in range(frames[0].num_frames):
            level = (3 * level + sum(int(clip.frame(i).to(torch.int64).sum()) for clip in frames)) % 251
            level += int(other.frame(i)[0, 0, 0]) if other is not None else 0
            rows.append((frames[0].frame(i).to(torch.int64) + level).remainder(256).to(torch.uint8))
        ctx.state = Tensors({"level": torch.tensor(level)})
        return frames[0].with_data(stacked(rows, frames[0]))


class Pair(fs.Operator):
    """A lopsided window over two clips with two outputs."""

    op = "k_pair"
    version = 1
    before: int = 3
    after: int = 0

    def stream(self) -> StreamKind:
        return Window(self.before, self.after)

    def run(self, ctx: RunContext, /, *, a: Frames, b: Frames) -> Halves:
        lead, count = (ctx.span.lead, ctx.span.count) if ctx.span else (0, a.num_frames)
        low, high = [], []
        for i in range(lead, lead + count):
            first, last = max(0, i - self.before), min(a.num_frames, i + self.after + 1)
            low.append(a.tensor[first:last].amin(0))
            high.append(b.tensor[first:last].amax(0))
        return Halves(a.with_data(stacked(low, a)), b.with_data(stacked(high, b)))


class Pile(fs.Operator):
    """Needs all of any number of streams."""

    op = "k_pile"
    version = 1

    def run(self, ctx: RunContext, /, *, clips: list[Frames]) -> Frames:
        order = sorted(range(len(clips)), key=lambda i: (shade(clips[i]), i))
        return clips[order[0]].with_data(clips[order[0]].tensor.flip(0) ^ len(clips))


class Tally(fs.Operator):
    """A fold with a whole port and a number for its end, over a short and uneven segment."""

    op = "k_tally"
    version = 1
    whole_ports = ("reference",)

    def stream(self) -> StreamKind:
        return Fold(segment=7)

    def segment(self, ctx: RunContext, /, *, frames: Frames) -> Tensors:
        return Tensors({"sum": torch.tensor(shade(frames))})

    def combine(self, ctx: RunContext, parts: Sequence[Tensors], /, **inputs: Any) -> int:
        total = 0
        for part in parts:
            total = (5 * total + int(part.tensors["sum"])) % 100_003
        return total + shade(inputs["reference"]) + int(inputs.get("start", 0))

    def run(self, ctx: RunContext, /, *, frames: Frames, reference: Frames, start: int = 0) -> int:
        cuts = range(0, max(1, frames.num_frames), 7)
        parts = [self.segment(ctx, frames=frames.slice(i, i + 7)) for i in cuts]
        return self.combine(ctx, parts, reference=reference, start=start)


class Both(fs.Operator):
    """A map of a stream and all of another, or of itself."""

    op = "k_both"
    version = 1
    whole_ports = ("whole",)

    def stream(self) -> StreamKind:
        return Map()

    def run(self, ctx: RunContext, /, *, frames: Frames, whole: list[Frames]) -> Frames:
        add = sum(shade(clip) for clip in whole)
        return frames.with_data((frames.tensor.to(torch.int64) + add).remainder(256).to(torch.uint8))


class Numbers(fs.Operator):
    """Any number of numbers."""

    op = "k_numbers"
    version = 1

    def run(self, ctx: RunContext, /, *, xs: list[int]) -> int:
        return sum((i + 1) * x for i, x in enumerate(xs)) % 100_003


class Kinds(Builder):
    """Grows graphs of all kinds of operators, over clips of 0 to 50 frames."""

    def sources(self, folder: Path) -> None:
        """Begin with one to three clips and a number."""
        rng = self.rng
        for i in range(rng.randint(1, 2)):
            length = rng.choice([0, 1, rng.randint(0, 50), rng.randint(0, 50)])
            seeds = [rng.randrange(4) for _ in range(length)] if rng.random() < 0.4 else range(length)
            self.add(Counter(path=write_source(folder / f"{i}.txt", seeds)))
        if rng.random() < 0.4:
            self.add(Spread(count=rng.randint(0, 50)))
        self.add(Sum(), frames=self.pick(Frames))

    def grow(self) -> None:
        """Add one random node."""
        rng, frames, number = self.rng, self.pick(Frames), self.pick(int)
        length = self.values[frames].num_frames
        alike, other = self.alike(frames), self.pick(Frames)
        scan: dict[str, str | list[str]] = {
            "frames": rng.choices(alike, k=rng.randint(1, 3)),
            "reference": other,
        }
        if rng.random() < 0.5:
            scan["other"] = rng.choice(alike)
        choices: list[tuple[fs.Operator, Mapping[str, Any]]] = [
            (Invert(strength=rng.choice([255, 200])), {"frames": frames}),
            (Mean(radius=rng.randint(0, 5)), {"frames": frames}),
            (Smooth(), {"frames": frames}),
            (Backwards(), {"frames": frames}),
            (Drift(), scan),
            (
                Pair(before=rng.randint(0, 4), after=rng.randint(0, 2)),
                {"a": frames, "b": rng.choice(alike)},
            ),
            (Pile(), {"clips": [self.pick(Frames) for _ in range(rng.randint(1, 3))]}),
            (Tally(), {"frames": frames, "reference": other, "start": number}),
            (Both(), {"frames": frames, "whole": [other, frames][: rng.randint(1, 2)]}),
            (Numbers(), {"xs": [self.pick(int) for _ in range(rng.randint(1, 4))]}),
        ]
        if length > 0:
            first = rng.randrange(length)
            choices.append((Trim(start=first, stop=rng.randint(first + 1, length)), {"frames": frames}))
        if length <= 50:
            choices.append((Twice(), {"frames": frames}))
            choices.append((Concat(), {"frames": [frames, *self.short(frames, rng.randint(0, 2))]}))
        operator, inputs = rng.choice(choices)
        self.add(operator, **inputs)

    def short(self, like: str, count: int) -> list[str]:
        """Some clips that are not long, of the rate of one."""
        rate = self.values[like].fps
        found = [(n, v) for n, v in self.values.items() if isinstance(v, Frames) and v.fps == rate]
        return self.rng.choices([n for n, v in found if v.num_frames <= 30] or [like], k=count)


def grown(seed: int, folder: Path) -> Kinds:
    """A graph of some dozen nodes of all kinds, with the values of its outputs."""
    builder = Kinds(random.Random(seed))
    builder.sources(folder)
    for _ in range(builder.rng.randint(3, 14)):
        builder.grow()
    return builder
