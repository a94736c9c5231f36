"""Several outputs on one reader: memory stays flat, since their chunks take turns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import flowsynth as fs
from flowsynth.api import Graph
from flowsynth.core.context import RunContext
from flowsynth.executors.positions import assign_positions
from flowsynth.values import Frames
from tests.executors.dags import Against, Plus, Tint
from tests.streams import Counter, Invert, Mean, Smooth, Sum, Twice, write_source


class Halves(fs.Operator):
    """Needs all of a stream."""

    op = "several_whole"
    version = 1

    def run(self, ctx: RunContext, /, *, frames: Frames) -> int:
        return frames.num_frames


def tails(source: Path, count: int, kind: str) -> Graph:
    g = Graph("tails")
    clip = g.add("clip", Counter(path=source))
    for i in range(count):
        last = g.add(f"mapped{i}", Invert(strength=255 - i), frames=clip)
        if kind == "windows":
            last = g.add(f"mean{i}", Mean(radius=1 + i % 3), frames=last)
        if kind == "mixed":
            last = g.add(f"more{i}", [Mean(), Twice(), Smooth()][i % 3], frames=last)
        ends: list[Any] = [Sum()] if kind != "mixed" else [Sum(), Halves()]
        for k, end in enumerate(ends):
            g.add(f"end{i}-{k}", end, frames=last)
    return g


@pytest.mark.sample(2)
@pytest.mark.parametrize("executor", ["serial", "threads"])
@pytest.mark.parametrize("kind", ["maps", "windows", "mixed"])
@pytest.mark.parametrize("count", [2, 8])
@pytest.mark.parametrize("lengths", [(12, 36), pytest.param((16, 64), marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_length(
    tmp_path: Path, lengths: tuple[int, int], count: int, kind: str, executor: str
) -> None:
    peaks = []
    for chunks in lengths:
        source = write_source(tmp_path / f"{chunks}.txt", range(4 * chunks))
        run = tails(source, count, kind).run(cache_dir=tmp_path / f"c{chunks}", executor=executor, chunk=4)
        peaks.append(run.peak_alive)
    # A window over a stream of its own keeps that one's last two chunks, whatever is done.
    bound = 12 if kind == "maps" or count == 2 else 4 + 2 * count
    assert max(peaks) <= bound, peaks
    assert peaks[1] <= peaks[0] + 2, peaks


def test_delivered_streams_take_turns_too(tmp_path: Path) -> None:
    source = write_source(tmp_path / "s.txt", range(256))
    g = tails(source, 2, "windows")
    run = g.run(cache_dir=tmp_path / "cache", chunk=4, outputs=["mean0", "mean1", "end0-0"])
    assert run.peak_alive <= 12


@pytest.mark.sample(2)
@pytest.mark.parametrize("executor", ["serial", "threads"])
@pytest.mark.parametrize("policy", ["auto", "never"])
def test_a_stream_on_a_whole_port_of_a_stream_operator_waits_on_disk(
    tmp_path: Path, policy: str, executor: str
) -> None:
    source = write_source(tmp_path / "s.txt", range(160))
    g = Graph("whole port")
    clip = g.add("clip", Counter(path=source))
    reference = g.add("reference", Invert(), frames=clip, cache=policy)
    against = g.add("against", Against(), frames=clip, reference=reference)
    g.add("sum", Sum(), frames=against)
    run = g.run(cache_dir=tmp_path / "cache", chunk=4, executor=executor)
    assert run.record.nodes["reference"].tasks.computed == 40
    assert run.peak_alive <= 12
    assert run["sum"] == g.run(cache_dir=tmp_path / "other", chunk=400)["sum"]


@pytest.mark.sample(1)
@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_frames_wait_on_disk_for_what_is_found_out_from_all_of_them(tmp_path: Path, executor: str) -> None:
    """Two passes over a clip: a number out of all of it, and a map that needs the number."""
    source = write_source(tmp_path / "s.txt", range(400))
    g = Graph("two passes")
    clip = g.add("clip", Invert(), frames=g.add("read", Counter(path=source)))
    number = g.add("plus", Plus(), x=g.add("found", Sum(), frames=clip))
    g.add("sum", Sum(), frames=g.add("tint", Tint(), frames=clip, amount=number))
    run = g.run(cache_dir=tmp_path / "cache", chunk=4, executor=executor)
    assert run.record.nodes["clip"].tasks.computed == 100
    assert run.peak_alive <= 12
    assert run["sum"] == g.run(cache_dir=tmp_path / "other", chunk=400)["sum"]


def test_every_task_gets_a_position_after_what_it_reads() -> None:
    assert assign_positions([], 3) == []
