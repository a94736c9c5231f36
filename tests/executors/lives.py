"""A graph of streams and values whose operators keep a log of their runs, lived through in real processes.

Every task appends one line to the file that ``FLOWSYNTH_TEST_LOG`` names: who ran, what, and the identity of
what came out. Tests compare those lines with the rows that were committed to the cache's index.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, TypeVar

import torch

import flowsynth as fs
from flowsynth.api import Graph
from flowsynth.cache import coding
from flowsynth.cache.store import Cache
from flowsynth.core.codec import content_hash, frame_hashes, is_temporal, layout, temporal_hash
from flowsynth.core.errors import FlowsynthError
from flowsynth.core.refs import JsonRef, Trace
from flowsynth.core.streams import Map, StreamKind
from flowsynth.values import Frames, Tensors
from tests import streams
from tests.processes import server

LOG = "FLOWSYNTH_TEST_LOG"
#: Seconds that a task takes: more than loading the result does, so that it is kept.
WORK = 0.004


def identity(value: Any) -> str:
    """What a trace calls the content of a value."""
    if not hasattr(value, "codec_name"):
        return JsonRef.of(value).hash
    encoded = value.encode()
    if not is_temporal(type(value)):
        return content_hash(value.codec_name, encoded)
    return temporal_hash(value.codec_name, encoded.meta, layout(encoded), frame_hashes(encoded))


Value = TypeVar("Value")


def logged(ctx: fs.RunContext, value: Value, part: str = "") -> Value:
    """Work, then write down that a task was run."""
    time.sleep(WORK)
    path = os.environ.get(LOG)
    if path:
        start = ctx.span.start if ctx.span is not None else "-"
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        os.write(handle, f"{os.getpid()} {ctx.node}{part}@{start} {identity(value)}\n".encode())
        os.close(handle)
    return value


class Source(streams.Counter):
    """A source."""

    op = "l_source"

    def run(self, ctx: fs.RunContext, /) -> Frames:
        return logged(ctx, super().run(ctx))


class Invert(streams.Invert):
    """A map."""

    op = "l_map"

    def run(self, ctx: fs.RunContext, /, *, frames: Frames) -> Frames:
        return logged(ctx, super().run(ctx, frames=frames))


class Mean(streams.Mean):
    """A window."""

    op = "l_window"

    def run(self, ctx: fs.RunContext, /, *, frames: Frames) -> Frames:
        return logged(ctx, super().run(ctx, frames=frames))


class Twice(streams.Twice):
    """A resampling."""

    op = "l_resample"

    def run(self, ctx: fs.RunContext, /, *, frames: Frames) -> Frames:
        return logged(ctx, super().run(ctx, frames=frames))


class Smooth(streams.Smooth):
    """A scan."""

    op = "l_scan"

    def run(self, ctx: fs.RunContext, /, *, frames: Frames) -> Frames:
        return logged(ctx, super().run(ctx, frames=frames))


class Sum(streams.Sum):
    """A fold."""

    op = "l_fold"

    def segment(self, ctx: fs.RunContext, /, *, frames: Frames) -> int:
        return logged(ctx, super().segment(ctx, frames=frames), "#segment")

    def combine(self, ctx: fs.RunContext, parts: Sequence[int], /, **inputs: Any) -> int:
        return logged(ctx, super().combine(ctx, parts))


class Reverse(streams.Reverse):
    """Needs all of a stream."""

    op = "l_whole"

    def run(self, ctx: fs.RunContext, /, *, frames: Frames) -> Frames:
        return logged(ctx, super().run(ctx, frames=frames))


class Enlarge(fs.Operator):
    """A map to frames that take room: every pixel becomes a tile, with the tile's gradient on it."""

    op = "l_large"
    version = 1
    scale: int = 16

    def stream(self) -> StreamKind:
        return Map()

    def run(self, ctx: fs.RunContext, /, *, frames: Frames) -> Frames:
        large = frames.tensor.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3)
        ramp = torch.arange(large.shape[-1], dtype=torch.int32)
        return logged(ctx, frames.with_data(((large.int() + ramp) % 256).to(torch.uint8)))


class Add(fs.Operator):
    """JSON values: a sum with a step."""

    op = "l_add"
    version = 1
    libraries = ()
    step: int = 1

    def run(self, ctx: fs.RunContext, /, *, x: int = 0, y: int = 0) -> int:
        return logged(ctx, x + y + self.step)


class Spread(fs.Operator):
    """A value without frames: a matrix grown from a number."""

    op = "l_spread"
    version = 1

    def run(self, ctx: fs.RunContext, /, *, x: int) -> Tensors:
        matrix = torch.arange(4096, dtype=torch.float64).reshape(64, 64) * 1e-4 + x
        return logged(ctx, Tensors({"matrix": matrix @ matrix}, {"x": x}))


class Trail(fs.Operator):
    """A number out of matrices."""

    op = "l_trail"
    version = 1

    def run(self, ctx: fs.RunContext, /, *, values: list[Tensors]) -> float:
        return logged(ctx, float(sum(value.tensors["matrix"].trace() for value in values)))


def lively(source: Path) -> Graph:
    """Every kind of stream, values of every kind, several outputs."""
    g = Graph("lively")
    clip = g.add("clip", Source(path=source))
    negative = g.add("negative", Invert(), frames=clip)
    mean = g.add("mean", Mean(), frames=negative)
    scanned = g.add("scanned", Smooth(), frames=mean)
    twice = g.add("twice", Twice(), frames=scanned)
    g.add("total", Sum(), frames=twice)
    back = g.add("back", Reverse(), frames=g.add("faint", Invert(strength=200), frames=clip))
    g.add("end", Mean(radius=1), frames=back)
    numbers = [g.add("n0", Add(step=1))]
    for i in range(1, 12):
        numbers.append(g.add(f"n{i}", Add(step=i), x=numbers[i - 1], y=numbers[i // 2]))
    g.add("trail", Trail(), values=[g.add(f"m{i}", Spread(), x=numbers[i]) for i in range(3, 12)])
    g.outputs = ["twice", "total", "end", "trail"]
    return g


def heavy(source: Path) -> Graph:
    """Some megabytes of streams and values, in two branches that have nothing to do with each other."""
    g = Graph("heavy")
    clip = g.add("clip", Source(path=source))
    large = g.add("large", Enlarge(), frames=clip)
    g.add("mean", Mean(), frames=large)
    g.add("total", Sum(), frames=g.add("larger", Enlarge(scale=48), frames=clip))
    number = g.add("n0", Add(step=1))
    g.add(
        "trail",
        Trail(),
        values=[g.add(f"m{i}", Spread(), x=g.add(f"x{i}", Add(step=i), x=number)) for i in range(30)],
    )
    g.outputs = ["mean", "total", "trail"]
    return g


GRAPHS = {"lively": lively, "heavy": heavy}


@dataclass(frozen=True)
class Folder:
    """Where a graph lives: its source, its cache, and the log of what was run."""

    root: Path
    disk: Path | None = None

    @property
    def source(self) -> Path:
        return self.root / "seeds.txt"

    @property
    def cache(self) -> Path:
        return self.disk / "cache" if self.disk is not None else self.root / "cache"

    @property
    def log(self) -> Path:
        return self.root / "runs.txt"

    def leave(self, what: str, text: str) -> None:
        """Write a text of this process, whole or not at all."""
        part = self.root / f"{what}.{os.getpid()}.part"
        part.write_text(text)
        part.rename(part.with_suffix(".txt"))

    def left(self, what: str) -> list[str]:
        """The texts that processes have left."""
        return [path.read_text() for path in sorted(self.root.glob(f"{what}.*.txt"))]

    def executions(self) -> list[tuple[str, str, str]]:
        """(process, task, identity of the result) of every run of an operator, in order."""
        if not self.log.exists():
            return []
        return [tuple(line.split()) for line in self.log.read_text().splitlines()]  # type: ignore[misc]

    def finished(self) -> set[str]:
        """Identities of all results whose rows are committed."""
        found: set[str] = set()
        if not self.cache.exists():
            return found
        with Cache(self.cache, read_only=True) as cache:
            rows = cache.lookup_many(list(cache.traces.keys("")))
        for row in rows.values():
            trace = Trace.from_bytes(row)
            if trace is not None:
                found |= {ref.hash for ref in trace.outputs.values()}
        return found


def new_folder(root: Path, frames: int = 60, disk: Path | None = None) -> Folder:
    """A folder with a source of some frames and nothing run yet; its cache may lie on a disk of its own."""
    root.mkdir(parents=True)
    folder = Folder(root, disk)
    streams.write_source(folder.source, range(frames))
    return folder


def live(
    folder: Folder,
    executor: str,
    barrier: Barrier | None = None,
    graph: str = "lively",
    file_size: int | None = None,
) -> None:
    """Run a graph in this process, and write the results (or the error) beside it.

    Args:
        folder: where.
        executor: how.
        barrier: what to wait for before the run.
        graph: which.
        file_size: bytes that no file may grow beyond.
    """
    if file_size is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
        coding.TIMES = 10**9  # objects as large as their values
    os.environ[LOG] = str(folder.log)
    torch.set_num_threads(1)
    built = GRAPHS[graph](folder.source)
    if barrier is not None:
        barrier.wait()
    try:
        run = built.run(cache_dir=folder.cache, executor=executor, chunk=8, keep="all")
    except fs.RunFailedError as error:
        folder.leave("failed", "\n".join(error.run.record.errors))
        raise SystemExit(error.exit_code) from error
    except FlowsynthError as error:
        folder.leave("error", str(error))
        raise SystemExit(error.exit_code) from error
    folder.leave("results", "\n".join(f"{name} {identity(run[name])}" for name in built.outputs))


def the_result(folder: Folder) -> str:
    """The one result that every process of a folder which came to its end gave."""
    texts = set(folder.left("results"))
    assert len(texts) == 1
    return texts.pop()


def start(folder: Folder, executor: str, **how: Any) -> ForkServerProcess:
    """A real process that runs a graph; see `live`."""
    process = server().Process(target=live, args=(folder, executor), kwargs=how)
    process.start()
    return process


def undisturbed(folder: Folder, executor: str, graph: str = "lively") -> float:
    """Run a graph to its end in a process of its own; returns the seconds that took."""
    begin = time.monotonic()
    process = start(folder, executor, graph=graph)
    process.join(60)
    assert process.exitcode == 0
    return time.monotonic() - begin
