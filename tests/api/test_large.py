"""Graphs of thousands of nodes through the public interface: no recursion error, and linear."""

from __future__ import annotations

import gc
import time
from collections import Counter as Counts
from collections.abc import Callable
from pathlib import Path

import pytest

import flowsynth as fs
from flowsynth.api import Graph
from flowsynth.core.events import Observer
from flowsynth.core.status import TaskStatus
from tests.streams import Counter, Invert, write_source


class Inc(fs.Operator):
    """Adds a step."""

    op = "t_inc"
    version = 1
    libraries = ()
    step: int = 1

    def run(self, ctx: fs.RunContext, /, *, x: int = 0) -> int:
        return x + self.step


def chain(count: int) -> Graph:
    g = Graph("chain")
    last = g.add("n0", Inc())
    for i in range(1, count):
        last = g.add(f"n{i}", Inc(), x=last)
    return g


def fan(count: int) -> Graph:
    g = Graph("fan")
    root = g.add("root", Inc())
    for i in range(1, count):
        g.add(f"n{i}", Inc(step=i), x=root)
    return g


def cost(build: Callable[[int], Graph], count: int, cache: Path, executor: str) -> tuple[float, float]:
    """CPU seconds of a cold and of a warm run, the graph's building included."""
    seconds = []
    gc.collect()
    gc.disable()  # collections walk torch's modules and what other tests left, and only longer runs have any
    try:
        for _ in range(2):
            begin = time.process_time()
            run = build(count).run(cache_dir=cache, executor=executor)
            seconds.append(time.process_time() - begin)
    finally:
        gc.enable()
    name = f"n{count - 1}"
    assert run[name] == count
    assert {node.status for node in run.record.nodes.values()} == {"hit"}
    return seconds[0], seconds[1]


@pytest.mark.parametrize("build", [chain, fan])
@pytest.mark.parametrize("count", [1_200, pytest.param(10_000, marks=pytest.mark.slow)])
def test_many_nodes_cost_four_times_what_a_quarter_does(
    tmp_path: Path, build: Callable[[int], Graph], count: int
) -> None:
    cost(build, 50, tmp_path / "start", "serial")  # imports
    ratios = []
    for attempt in range(3):  # a busy machine may slow one of the two; what is quadratic fails all three
        small = cost(build, count // 4, tmp_path / f"small{attempt}", "serial")
        large = cost(build, count, tmp_path / f"large{attempt}", "serial")
        ratios.append((large[0] / small[0], large[1] / small[1]))
        # Warm it is some tens of microseconds a node: caches of the processor show. Quadratic would be 16.
        if ratios[-1][0] < 5.5 and ratios[-1][1] < 8:
            return
    pytest.fail(f"cold and warm, four times the nodes cost {ratios}")


@pytest.mark.parametrize("build", [chain, fan])
@pytest.mark.parametrize("count", [600, pytest.param(2_000, marks=pytest.mark.slow)])
def test_many_nodes_on_threads(tmp_path: Path, build: Callable[[int], Graph], count: int) -> None:
    cost(build, count, tmp_path, "threads")


@pytest.mark.parametrize(
    ("executor", "depth"), [pytest.param("serial", 1000, marks=pytest.mark.slow), ("threads", 200)]
)
def test_a_deep_chain_of_streams(tmp_path: Path, executor: str, depth: int) -> None:
    source = write_source(tmp_path / "s.txt", range(20))
    g = Graph("deep")
    last = g.add("clip", Counter(path=source))
    for i in range(depth):
        last = g.add(f"n{i}", Invert(strength=255), frames=last)
    told = Hits()
    run = g.run(cache_dir=tmp_path / "cache", executor=executor, observer=told)
    frames = Counter(path=source).run(fs.RunContext())
    assert (run[f"n{depth - 1}"].tensor == frames.tensor).all()  # inverted an even number of times
    if executor == "serial":
        # All but the first two nodes repeat what was seen and are found by content. Some are made again all
        # the same, since the last one must be delivered and the cache did not keep its like: they count once.
        assert told.nodes[f"n{depth // 2}"] == 2
        tasks = run.record.nodes[f"n{depth // 2}"].tasks
        assert tasks.hit + tasks.computed == 2


class Hits(Observer):
    """Counts the tasks that were found in the cache."""

    def __init__(self) -> None:
        self.nodes: Counts[str] = Counts()

    def task_finished(self, node: str, status: TaskStatus, done: int, total: int | None) -> None:
        """Count it."""
        self.nodes[node] += status == "hit"
