"""Random graphs of small real operators on streams and values, and what they give when called by hand."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch

import flowsynth as fs
from flowsynth.api import Graph
from flowsynth.core.context import RunContext
from flowsynth.core.edges import Edge
from flowsynth.core.graph import Handle
from flowsynth.core.ports import ports_of
from flowsynth.core.streams import Map, StreamKind, Window
from flowsynth.values import Frames, Tensors
from tests.streams import Counter, Invert, Mean, Reverse, Smooth, Sum, Twice, picture, write_source

#: Nodes that raise while they are in here, as a bad disk or a lost network would.
BROKEN: set[str] = set()


class Halves(NamedTuple):
    """Two streams from one."""

    low: Frames
    high: Frames


class Found(NamedTuple):
    """A stream and what was found on the way."""

    frames: Frames
    level: int


@contextmanager
def breaking(*names: str) -> Iterator[None]:
    """Nodes of these names raise within."""
    BROKEN.update(names)
    try:
        yield
    finally:
        BROKEN.difference_update(names)


def check(ctx: RunContext) -> None:
    if ctx.node in BROKEN:
        raise ValueError("broken")


class Blend(fs.Operator):
    """A map of any number of streams: their mean."""

    op = "g_blend"
    version = 1

    def stream(self) -> StreamKind:
        return Map()

    def run(self, ctx: RunContext, /, *, clips: list[Frames]) -> Frames:
        check(ctx)
        total = sum(clip.tensor.to(torch.int32) for clip in clips)
        return clips[0].with_data((total // len(clips)).to(torch.uint8))  # type: ignore[union-attr]


class Tint(fs.Operator):
    """A map of a stream and a number that is the same for all its frames."""

    op = "g_tint"
    version = 1

    def stream(self) -> StreamKind:
        return Map()

    def run(self, ctx: RunContext, /, *, frames: Frames, amount: int = 3) -> Frames:
        check(ctx)
        return frames.with_data(((frames.tensor.to(torch.int64) + amount) % 256).to(torch.uint8))


class Split(fs.Operator):
    """A map with two outputs."""

    op = "g_split"
    version = 1

    def stream(self) -> StreamKind:
        return Map()

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Halves:
        check(ctx)
        return Halves(frames.with_data(frames.tensor & 15), frames.with_data(frames.tensor & 240))


class Against(fs.Operator):
    """A window that also needs all of another stream: every frame plus that one's mean."""

    op = "g_against"
    version = 1
    whole_ports = ("reference",)

    def stream(self) -> StreamKind:
        return Window(0, 1)

    def run(self, ctx: RunContext, /, *, frames: Frames, reference: Frames) -> Frames:
        check(ctx)
        mean = int(reference.tensor.to(torch.float64).mean()) if reference.num_frames else 5
        count = ctx.span.count if ctx.span else frames.num_frames
        data = frames.tensor[:count].to(torch.int64) + frames.tensor[-1:].shape[0] * mean
        return frames.with_data((data % 256).to(torch.uint8))


class Level(fs.Operator):
    """Needs all of a stream, gives one and a number."""

    op = "g_level"
    version = 1

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Found:
        check(ctx)
        level = int(frames.tensor.to(torch.int64).sum()) % 97
        return Found(frames.with_data(frames.tensor.roll(1, 0)), level)


class Draw(fs.Operator):
    """A stream out of a number."""

    op = "g_draw"
    version = 1
    count: int = 5

    def run(self, ctx: RunContext, /, *, seed: int = 0) -> Frames:
        check(ctx)
        return Frames(torch.stack([picture(i, seed % 1000) for i in range(self.count)]), 12)


class Plus(fs.Operator):
    """Numbers."""

    op = "g_plus"
    version = 1
    libraries = ()
    step: int = 1

    def run(self, ctx: RunContext, /, *, x: int = 0, y: int = 0) -> int:
        check(ctx)
        return (x + 2 * y + self.step) % 100_003


class Kernel(fs.Operator):
    """A value without frames."""

    op = "g_kernel"
    version = 1

    def run(self, ctx: RunContext, /, *, x: int) -> Tensors:
        check(ctx)
        return Tensors({"k": torch.arange(6, dtype=torch.float64) * x}, {"x": x})


class Norm(fs.Operator):
    """A number out of such a value, and perhaps a stream."""

    op = "g_norm"
    version = 1

    def run(self, ctx: RunContext, /, *, kernel: Tensors, frames: Frames | None = None) -> int:
        check(ctx)
        return int(kernel.tensors["k"].sum()) + (frames.num_frames if frames is not None else 0)


def random_graph(seed: int, folder: Path) -> tuple[Graph, dict[str, Any]]:
    """A graph of some dozen nodes, and the value of every output as plain calls give it."""
    rng = random.Random(seed)
    builder = Builder(rng)
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(rng.randint(1, 2)):
        length = rng.choice([1, 5, 16, 17, 33, 40])
        seeds = [rng.randrange(4) for _ in range(length)] if rng.random() < 0.3 else range(length)
        builder.add(Counter(path=write_source(folder / f"s{seed}-{i}.txt", seeds)))
    builder.add(Plus(step=rng.randint(0, 5)))
    for _ in range(rng.randint(4, 14)):
        builder.grow()
    return builder.graph, builder.values


class Builder:
    """Grows a graph and the values of its outputs side by side."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.graph = Graph("random")
        self.values: dict[str, Any] = {}
        self.policies = rng.choice([["auto", "auto", "always"], ["auto", "auto", "always", "never"]])

    def add(self, operator: fs.Operator, **inputs: str | list[str]) -> None:
        """Add a node and call its operator by hand."""
        name = f"v{len(self.graph.nodes)}"
        handles = {
            port: [self.handle(n) for n in names] if isinstance(names, list) else self.handle(names)
            for port, names in inputs.items()
        }
        device = self.rng.choice(["auto", "auto", "sim:0", "sim:1"])
        cache = self.rng.choice(self.policies)
        self.graph.add(name, operator, device=device, cache=cache, **handles)
        values = {
            port: [self.values[n] for n in names] if isinstance(names, list) else self.values[names]
            for port, names in inputs.items()
        }
        result = operator.run(RunContext(), **values)
        ports = ports_of(type(operator))
        for port in ports.outputs:
            self.values[f"{name}.{port}"] = getattr(result, port) if ports.many_outputs else result

    def handle(self, name: str) -> Handle:
        node, _, port = name.partition(".")
        return Handle(self.graph, Edge(node, port))

    def pick(self, kind: type[Any]) -> str:
        """Some output of a type, rather a late one."""
        names = [name for name, value in self.values.items() if isinstance(value, kind)]
        return self.rng.choice(names[-6:] if self.rng.random() < 0.7 else names)

    def alike(self, name: str) -> list[str]:
        """Streams of the same length and rate as one."""
        clip = self.values[name]
        return [
            other
            for other, value in self.values.items()
            if isinstance(value, Frames)
            and (value.num_frames, value.meta()) == (clip.num_frames, clip.meta())
        ]

    def grow(self) -> None:
        """Add one random node."""
        rng, frames, number = self.rng, self.pick(Frames), self.pick(int)
        streams: list[tuple[fs.Operator, Mapping[str, Any]]] = [
            (Invert(strength=rng.choice([255, 200])), {"frames": frames}),
            (Mean(radius=rng.randint(0, 3)), {"frames": frames}),
            (Smooth(), {"frames": frames}),
            (Reverse(), {"frames": frames}),
            (Sum(), {"frames": frames}),
            (Tint(), {"frames": frames} | ({"amount": number} if rng.random() < 0.7 else {})),
            (Split(), {"frames": frames}),
            (Level(), {"frames": frames}),
            (Against(), {"frames": frames, "reference": self.pick(Frames)}),
            (Blend(), {"clips": rng.choices(self.alike(frames), k=rng.randint(1, 3))}),
            (Draw(count=rng.choice([3, 16, 20])), {"seed": number}),
            (Plus(step=rng.randint(0, 9)), {"x": number, "y": self.pick(int)}),
            (Kernel(), {"x": number}),
        ]
        if self.values[frames].num_frames <= 80:
            streams.append((Twice(), {"frames": frames}))
        if any(isinstance(value, Tensors) for value in self.values.values()):
            streams.append((Norm(), {"kernel": self.pick(Tensors), "frames": frames}))
        operator, inputs = rng.choice(streams)
        self.add(operator, **inputs)
