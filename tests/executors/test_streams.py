"""Streams by chunks: equal to the whole, resumable, and only what changed runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import flowsynth as fs
from flowsynth.api import Graph, Run
from flowsynth.core.edges import Edge
from flowsynth.core.graph import Handle
from flowsynth.core.streams import Map, StreamKind
from flowsynth.values import Frames
from tests.streams import Counter, Invert, Mean, Reverse, Smooth, Sum, Twice, write_source


def chain(source: Path) -> Graph:
    g = Graph("streams")
    clip = g.add("clip", Counter(path=source))
    inverted = g.add("inverted", Invert(), frames=clip)
    mean = g.add("mean", Mean(), frames=inverted)
    scanned = g.add("scanned", Smooth(), frames=mean)
    twice = g.add("twice", Twice(), frames=scanned)
    g.add("total", Sum(), frames=twice)
    g.outputs = ["twice", "total"]
    return g


def by_hand(source: Path) -> tuple[torch.Tensor, int]:
    ctx = fs.RunContext()
    frames = Counter(path=source).run(ctx)
    for op in (Invert(), Mean(), Smooth(), Twice()):
        frames = op.run(fs.RunContext(), frames=frames)
    return frames.tensor, Sum().run(ctx, frames=frames)


def tasks(run: Run) -> dict[str, int]:
    return {name: node.tasks.computed for name, node in run.record.nodes.items() if node.tasks.computed}


@pytest.mark.parametrize("executor", ["serial", "threads"])
@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, 50])
def test_chunks_equal_the_whole(tmp_path: Path, executor: str, length: int) -> None:
    source = write_source(tmp_path / "s.txt", range(length))
    run = chain(source).run(cache_dir=tmp_path / "cache", executor=executor)
    frames, total = by_hand(source)
    assert torch.equal(run["twice"].tensor, frames)
    assert run["twice"].fps == 24
    assert run["total"] == total
    again = chain(source).run(cache_dir=tmp_path / "cache", executor=executor)
    assert tasks(again) == {}
    assert torch.equal(again["twice"].tensor, frames)


@pytest.mark.parametrize("chunk", [1, 3, 7, 64])
def test_the_chunk_length_is_no_part_of_identity(tmp_path: Path, chunk: int) -> None:
    source = write_source(tmp_path / "s.txt", range(40))
    first = chain(source).run(cache_dir=tmp_path / "cache")
    assert tasks(chain(source).run(cache_dir=tmp_path / "cache", chunk=chunk)) == {}
    fresh = chain(source).run(cache_dir=tmp_path / "other", chunk=chunk)
    assert fresh.record.nodes["twice"].objects == first.record.nodes["twice"].objects


def test_appended_frames_run_only_what_they_touch(tmp_path: Path) -> None:
    source = write_source(tmp_path / "s.txt", range(64))
    g = Graph("append")
    # Tiny chunks are cheaper to make than to load, so "auto" would keep none of them.
    clip = g.add("clip", Counter(path=source), cache="always")
    inverted = g.add("inverted", Invert(), frames=clip, cache="always")
    g.add("mean", Mean(), frames=inverted)
    g.run(cache_dir=tmp_path / "cache")
    write_source(source, range(64 + 48))
    run = g.run(cache_dir=tmp_path / "cache")
    # The reader decodes again. Of the window, the chunk before the new frames has a longer halo now.
    assert tasks(run) == {"clip": 7, "inverted": 3, "mean": 4}
    assert run.record.nodes["mean"].tasks.hit == 3


def test_a_repeated_shot_is_computed_once(tmp_path: Path) -> None:
    source = write_source(tmp_path / "s.txt", [*range(32), *range(32)])
    g = Graph("repeat")
    g.add("inverted", Invert(), frames=g.add("clip", Counter(path=source)))
    run = g.run(cache_dir=tmp_path / "cache")
    assert run.record.nodes["inverted"].tasks.model_dump() == {"hit": 2, "computed": 2}


def test_a_stream_on_both_sides_of_a_whole_node(tmp_path: Path) -> None:
    source = write_source(tmp_path / "s.txt", range(40))
    g = Graph("both")
    clip = g.add("clip", Counter(path=source))
    back = g.add("back", Reverse(), frames=g.add("neg", Invert(), frames=clip))
    g.add("end", Mean(), frames=back)
    g.add("side", Mean(radius=1), frames=clip)
    for executor in ("serial", "threads"):
        run = g.run(cache_dir=tmp_path / executor, executor=executor)
        frames = Counter(path=source).run(fs.RunContext())
        expected = Reverse().run(fs.RunContext(), frames=Invert().run(fs.RunContext(), frames=frames))
        assert torch.equal(run["end"].tensor, Mean().run(fs.RunContext(), frames=expected).tensor)


def test_lost_objects_run_again_and_give_the_same(tmp_path: Path) -> None:
    source = write_source(tmp_path / "s.txt", range(50))
    cache = tmp_path / "cache"
    first = chain(source).run(cache_dir=cache)
    expected = first["twice"].tensor.clone()
    for path in (cache / "objects").rglob("*"):
        if path.is_file():
            path.unlink()
    again = chain(source).run(cache_dir=cache)
    assert torch.equal(again["twice"].tensor, expected)
    assert again.record.nodes["twice"].tasks.computed == 7
    assert again.record.nodes["total"].tasks.computed == 0


def test_flipped_bytes_are_found_and_recomputed(tmp_path: Path) -> None:
    source = write_source(tmp_path / "s.txt", range(50))
    cache = tmp_path / "cache"
    expected = chain(source).run(cache_dir=cache)["twice"].tensor.clone()
    for path in (cache / "objects").rglob("*"):
        if path.is_file():
            data = bytearray(path.read_bytes())
            data[-3] ^= 1
            path.write_bytes(data)
    g = chain(source)
    g.add("after", Invert(strength=200), frames=fs_handle(g, "twice"))
    g.outputs = ["after"]
    run = g.run(cache_dir=cache)
    assert torch.equal(run["after"].tensor, 200 - expected)


def fs_handle(graph: Graph, node: str) -> Handle:
    return Handle(graph, Edge(node))


def test_memory_holds_few_chunks_whatever_the_length(tmp_path: Path) -> None:
    peaks = []
    for length in (160, 640):
        source = write_source(tmp_path / f"{length}.txt", range(length))
        run = chain(source).run(cache_dir=tmp_path / f"cache{length}", executor="threads")
        peaks.append(run.peak_alive)
    assert peaks[1] <= 12
    assert peaks[1] <= peaks[0] + 2


class Fails(fs.Operator):
    """Raises at the third chunk."""

    op = "t_fails"
    version = 1
    positional = True

    def stream(self) -> StreamKind:
        return Map()

    def run(self, ctx: fs.RunContext, /, *, frames: Frames) -> Frames:
        if ctx.span is not None and ctx.span.start >= 32:
            raise ValueError("no more")
        return frames


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_a_failure_stops_only_its_descendants(tmp_path: Path, executor: str) -> None:
    source = write_source(tmp_path / "s.txt", range(80))
    g = Graph("fails")
    clip = g.add("clip", Counter(path=source))
    bad = g.add("bad", Fails(), frames=clip)
    g.add("below", Sum(), frames=g.add("mean", Mean(), frames=bad))
    g.add("good", Sum(), frames=clip)
    run = g.run(cache_dir=tmp_path / "cache", executor=executor, check=False)
    status = {name: node.status for name, node in run.record.nodes.items()}
    assert status == {
        "clip": "computed",
        "bad": "failed",
        "mean": "skipped",
        "below": "skipped",
        "good": "computed",
    }
    assert run.record.errors == ["bad: ValueError: no more"]
    with pytest.raises(fs.RunFailedError, match="no more"):
        g.run(cache_dir=tmp_path / "cache", executor=executor)
    again = g.run(cache_dir=tmp_path / "cache", executor=executor, check=False)
    assert again.record.nodes["bad"].tasks.hit == 2
    assert again.record.nodes["good"].status == "hit"
