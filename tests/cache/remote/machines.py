"""Machines that share a place: each has a cache folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from flowsynth.api import Graph, Run
from flowsynth.cache.remote.place import Got, Place
from flowsynth.executors.tasks import StepRun
from tests.streams import Counter, Mean, Sum, write_source

FRAMES = 20


def graph(folder: Path, radius: int = 2) -> Graph:
    """A clip that is smoothed, kept, and summed up: objects, values inside rows, the row of a length."""
    source = folder / "source.txt"
    if not source.exists():
        write_source(source, range(FRAMES))
    g = Graph("shared")
    clip = g.add("clip", Counter(path=source))
    mean = g.add("mean", Mean(radius=radius), frames=clip, cache="always")
    g.add("sum", Sum(), frames=mean)
    g.outputs = ["mean", "sum"]
    return g


def run(folder: Path, machine: str, remote: str | None, **more: Any) -> Run:
    """Run it on a machine."""
    return graph(folder, more.pop("radius", 2)).run(
        cache_dir=folder / machine, remote=remote, chunk=8, **more
    )


def statuses(run: Run) -> set[str]:
    """What became of the nodes."""
    return {node.status for node in run.record.nodes.values()}


def results(run: Run) -> tuple[Any, ...]:
    """What must be the same on all machines."""
    return run["mean"].tensor.tolist(), run["sum"], {n: r.objects for n, r in run.record.nodes.items()}


def outputs(run: Run, name: str) -> StepRun:
    """A finished step."""
    return run._runs[name]


class Watched:
    """A place that notes what is asked of it, and does something first if told to."""

    def __init__(self, place: Place, before: Callable[[str, str], None] = lambda *_: None) -> None:
        self.place, self.before = place, before
        self.log: list[tuple[str, str]] = []

    def get(self, name: str) -> Got | None:
        self._note("get", name)
        return self.place.get(name)

    def size(self, name: str) -> int | None:
        self._note("size", name)
        return self.place.size(name)

    def put(self, name: str, data: bytes | memoryview) -> None:
        self._note("put", name)
        self.place.put(name, data)

    def _note(self, what: str, name: str) -> None:
        self.log.append((what, name))
        self.before(what, name)

    def names(self, what: str, kind: str = "") -> Iterator[str]:
        return (name for w, name in self.log if w == what and name.startswith(kind))
