"""What the cache's budget has no room for waits in files: memory stays flat, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

import flowsynth as fs
from flowsynth.api import Graph, Session
from flowsynth.api.run import RunFailedError
from flowsynth.core.errors import FlowsynthError
from flowsynth.core.events import Observer
from flowsynth.core.streams import StreamInfo
from flowsynth.executors.expand import Expander
from flowsynth.executors.passes import first_runs
from flowsynth.executors.tasks import Task
from flowsynth.values import Frames
from tests.cache.helpers import python
from tests.executors.kinds import Both, Drift, Pile, Spread, Tally
from tests.executors.lives import identity
from tests.processes import start
from tests.streams import Counter, Invert, write_source

#: Less than the smallest object takes.
TINY = 500


def waiting(cache: Path) -> list[Path]:
    return sorted((cache / "tmp").iterdir())


def graph(kind: str, length: int) -> Graph:
    g = Graph(kind)
    clip = g.add("clip", Spread(count=length))
    if kind == "whole":
        g.add("end", Pile(), clips=[g.add("mapped", Invert(), frames=clip)])
    elif kind == "port":
        g.add("end", Tally(), frames=g.add("both", Both(), frames=clip, whole=[clip]), reference=clip)
    elif kind == "scan":
        g.add("end", Drift(), frames=[clip], reference=g.add("mapped", Invert(), frames=clip))
    else:
        g.add("end", Invert(), frames=clip)
    g.outputs = ["end"]
    return g


@pytest.mark.sample(1)
@pytest.mark.parametrize("executor", ["serial", "threads"])
@pytest.mark.parametrize("kind", ["whole", "port", "scan", "wanted"])
def test_few_chunks_are_in_memory_whatever_the_budget(tmp_path: Path, kind: str, executor: str) -> None:
    expected = graph(kind, 200).run(cache_dir=tmp_path / "other", chunk=200)["end"]
    for name, budget in (("room", None), ("none", TINY)):
        run = graph(kind, 200).run(cache_dir=tmp_path / name, chunk=5, executor=executor, max_bytes=budget)
        assert run.peak_alive <= 12, f"{run.peak_alive} of 40 chunks"
        assert identity(run["end"]) == identity(expected)
        del run
        assert waiting(tmp_path / name) == []


def test_a_value_out_of_a_file_outlives_it_and_is_the_readers_own(tmp_path: Path) -> None:
    run = graph("wanted", 40).run(cache_dir=tmp_path, chunk=20, max_bytes=TINY)
    assert len(waiting(tmp_path)) == 2
    one, other = run["end"], run["end"]
    before = identity(one)
    one.parts[0].zero_()
    assert identity(other) == identity(run["end"]) == before
    del run
    assert waiting(tmp_path) == []
    assert identity(other) == before


def test_files_that_somebody_deletes_are_made_again(tmp_path: Path) -> None:
    """As an eager clean-up of temporary files would."""

    class Thief(Observer):
        def task_finished(self, node: str, status: object, count: int, total: int | None) -> None:
            if node == "both" and count == 3:
                for path in waiting(tmp_path / "cache"):
                    path.unlink()

    g = graph("port", 40)
    expected = g.run(cache_dir=tmp_path / "other", chunk=40)["end"]
    run = g.run(cache_dir=tmp_path / "cache", chunk=4, max_bytes=TINY, observer=Thief())
    assert run["end"] == expected


def test_a_disk_without_room_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> bool:
        raise OSError(28, "No space left on device")

    with Session(tmp_path, max_bytes=TINY) as session:
        monkeypatch.setattr(session.cache.spool._new, "create", full)
        with pytest.raises(FlowsynthError, match=r"no room for .*tmp.*free some disk space"):
            graph("whole", 40).run(session=session, chunk=4)
    monkeypatch.undo()
    assert graph("whole", 40).run(cache_dir=tmp_path, chunk=4, max_bytes=TINY).ok


KILLED = """
import sys, time
from flowsynth.core.events import Observer
from tests.executors.test_spool import TINY, graph
class Stop(Observer):
    def task_finished(self, node, status, count, total):
        if node == "mapped" and count == 9:
            print("waits", flush=True)
            time.sleep(120)
graph("whole", 40).run(cache_dir=sys.argv[1], chunk=4, max_bytes=TINY, observer=Stop())
"""


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_killed_run_leaves_files_that_the_next_one_sweeps(tmp_path: Path) -> None:
    process = start(KILLED, tmp_path)
    assert process.stdout.readline() == "waits\n"
    process.kill()
    assert process.finish() == -signal.SIGKILL
    assert len(waiting(tmp_path)) >= 8
    run = graph("whole", 40).run(cache_dir=tmp_path, chunk=4)
    assert run.ok
    assert waiting(tmp_path) == []


def test_edges_of_a_whole_port_grow_with_the_chunks_and_not_with_their_square(tmp_path: Path) -> None:
    def edges(chunks: int) -> int:
        with Session(tmp_path) as session:
            runs = first_runs(session.plan(graph("port", chunks), ["end"]))
        expander = Expander(runs, 1, lambda run: run.step.operator.probe(fs.RunContext()))
        tasks: list[Task] = [task for run in runs.values() for task in expander.expand(run)]
        return sum(len(task.deps) for task in tasks)

    assert edges(400) <= 10 * 400
    assert edges(400) < 2.1 * edges(200)


def test_a_rate_that_is_not_that_of_the_frames_is_an_error(tmp_path: Path) -> None:
    """Who reads it would be told one rate in this run and another in the next."""

    class Wrong(Counter):
        """A source."""

        op = "spool_wrong"

        def probe(self, ctx: fs.RunContext) -> StreamInfo:
            return StreamInfo(3, None)

    g = Graph("wrong")
    g.add("clip", Wrong(path=write_source(tmp_path / "s.txt", range(3))))
    with pytest.raises(
        RunFailedError, match=r"probe\(\) said 3 frames at no rate; out has 3 frames at 12 frames"
    ):
        g.run(cache_dir=tmp_path / "cache")


MEMORY = """
import resource, sys
from flowsynth.api import Graph
from tests.executors.test_spool import Large, Total
frames, budget, cache = int(sys.argv[1]), sys.argv[2], sys.argv[3]
g = Graph("memory")
g.add("end", Total(), frames=g.add("clip", Large(count=frames)))
run = g.run(cache_dir=cache, max_bytes=None if budget == "none" else budget)
for line in open("/proc/self/status"):
    if line.startswith("VmHWM"):
        print(run["end"], line.split()[1])
"""


class Large(Spread):
    """Frames of 110 kB, each another."""

    op = "spool_large"

    def run(self, ctx: fs.RunContext, /) -> Frames:
        import torch

        start, stop = (ctx.span.start, ctx.span.stop) if ctx.span else (0, self.count)
        rows = [torch.full((3, 192, 192), i % 251, dtype=torch.uint8) for i in range(start, stop)]
        for i, row in enumerate(rows, start):
            row[:, :, i % 192] = i // 251
        return Frames(torch.stack(rows), 12)


class Total(fs.Operator):
    """A number out of a whole clip, a frame at a time."""

    op = "spool_total"
    version = 1

    def run(self, ctx: fs.RunContext, /, *, frames: Frames) -> int:
        return sum(int(part.sum()) for part in frames.chunks(4))


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_ten_thousand_frames_over_the_budget_take_no_more_memory(tmp_path: Path) -> None:
    total, without = python(MEMORY, 10_000, "none", tmp_path / "a").split()
    again, over = python(MEMORY, 10_000, "50MB", tmp_path / "b").split()
    assert total == again
    assert int(over) <= 1.15 * int(without)
