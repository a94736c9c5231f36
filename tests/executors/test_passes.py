"""A planned hit whose object turns out to be unreadable: the run begins another pass, and mixes nothing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

import flowsynth as fs
from flowsynth.api import Graph, Session
from flowsynth.cache.store import Cache
from flowsynth.core.context import RunContext
from flowsynth.core.events import Observer
from flowsynth.core.refs import objects_of
from flowsynth.core.status import NodeStatus
from flowsynth.core.streams import Map, StreamKind
from flowsynth.values import Frames
from tests.executors import dags
from tests.executors.lives import identity
from tests.executors.test_damage import flip
from tests.streams import Counter, Invert, Sum, write_source

CALLS: list[str] = []


class Sample(fs.Operator):
    """A clip that is another one each time it is asked for, as with ``seed: null``."""

    op = "pass_sample"
    version = 1
    count: int = 40

    def cacheable(self) -> bool:
        return False

    def run(self, ctx: RunContext, /) -> Frames:
        CALLS.append(ctx.node)
        values = torch.full((self.count, 3, 8, 8), random.randrange(256), dtype=torch.uint8)
        return Frames(values, 12)


class Noted(fs.Operator):
    """A map that counts its calls."""

    op = "pass_noted"
    version = 1
    add: int = 1

    def stream(self) -> StreamKind:
        return Map()

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        CALLS.append(ctx.node)
        dags.check(ctx)
        return frames.with_data(frames.tensor + self.add)


class Values(fs.Operator):
    """How many values the frames of two clips have between them, frame by frame."""

    op = "pass_values"
    version = 1

    def run(self, ctx: RunContext, /, *, a: Frames, b: Frames) -> list[int]:
        return [
            len({*x.flatten().tolist(), *y.flatten().tolist()})
            for x, y in zip(a.tensor, b.tensor, strict=True)
        ]


def damage(cache: Path, g: Graph, *nodes: str) -> None:
    """Flip a bit in all objects of some nodes of a graph that has run."""
    with Session(cache, read_only=True) as session:
        steps = session.plan(g, list(nodes)).steps
        names = [name for n in nodes for ref in (steps[n].outputs or {}).values() for name in objects_of(ref)]
    assert names
    for name in names:
        flip(list((cache / "objects").rglob(f"{name}*")), seed=3)


def sampled(source: Path, add: int) -> Graph:
    """Two branches on one sample; one of them meets a damaged hit on its way."""
    g = Graph("sampled")
    clip = g.add("clip", Counter(path=source), cache="always")
    sample = g.add("sample", Sample())
    left = g.add("left", Noted(add=1), frames=sample)
    right = g.add("right", Noted(add=1), frames=sample)
    g.add("same", Values(), a=left, b=right)
    late = g.add("late", Noted(add=add), frames=clip)
    g.add("sum", Sum(), frames=late)
    g.outputs = ["same", "sum", "left"]
    return g


@pytest.mark.parametrize("executor", ["serial", "threads"])
@pytest.mark.parametrize("chunk", [4, 16, 64])
def test_what_is_drawn_anew_is_not_mixed(tmp_path: Path, executor: str, chunk: int) -> None:
    source = write_source(tmp_path / "s.txt", range(40))
    sampled(source, 1).run(cache_dir=tmp_path / "cache")
    damage(tmp_path / "cache", sampled(source, 1), "clip")
    run = sampled(source, 2).run(cache_dir=tmp_path / "cache", executor=executor, chunk=chunk)
    assert run["same"] == [1] * 40
    assert len(set(run["left"].tensor.flatten().tolist())) == 1
    assert run.record.nodes["clip"].status == "computed"


class Told(Observer):
    """Notes how nodes end."""

    def __init__(self) -> None:
        self.ends: list[tuple[str, str]] = []

    def node_finished(self, node: str, status: NodeStatus, seconds: float, error: str = "") -> None:
        """Note it."""
        self.ends.append((node, status))


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_what_was_finished_is_not_run_again_and_counts_once(tmp_path: Path, executor: str) -> None:
    def graph(add: int) -> Graph:
        g = Graph("counted")
        clip = g.add("clip", Counter(path=source))
        first = g.add("first", Noted(add=add), frames=clip, cache="always")
        known = g.add("known", Invert(), frames=clip, cache="always")
        g.add("bad", Noted(add=add + 1), frames=clip)
        g.add("end", dags.Blend(), clips=[known, first])
        return g

    source = write_source(tmp_path / "s.txt", range(40))
    graph(1).run(cache_dir=tmp_path / "cache", outputs=["end"])
    damage(tmp_path / "cache", graph(1), "known")
    CALLS.clear()
    told = Told()
    with dags.breaking("bad"):
        run = graph(2).run(
            cache_dir=tmp_path / "cache",
            executor=executor,
            outputs=["bad", "end"],
            check=False,
            observer=told,
        )
    nodes = run.record.nodes
    assert nodes["end"].status == "computed"
    assert {
        name: n.tasks.hit + n.tasks.computed for name, n in nodes.items() if name != "bad"
    } == dict.fromkeys(["clip", "first", "known", "end"], 3)
    assert nodes["first"].tasks.computed == 3
    assert CALLS.count("first") == 3, "what the first pass had made was a hit in the second"
    assert CALLS.count("bad") == 1, "what had failed was not tried again"
    assert nodes["bad"].status == "failed"
    assert told.ends.count(("bad", "failed")) == told.ends.count(("end", "computed")) == 1
    again = graph(2).run(cache_dir=tmp_path / "other", outputs=["end"])
    assert identity(run["end"]) == identity(again["end"])


def test_objects_of_another_codec_count_as_lost_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are there and sound, so only the reader knows: the run must not look for them for ever."""
    source = write_source(tmp_path / "s.txt", range(40))

    def graph(add: int) -> Graph:
        g = Graph("codec")
        g.add("end", Noted(add=add), frames=g.add("clip", Counter(path=source), cache="always"))
        return g

    graph(1).run(cache_dir=tmp_path / "cache")
    monkeypatch.setattr(Frames, "codec_version", Frames.codec_version + 1)
    run = graph(2).run(cache_dir=tmp_path / "cache")
    assert run.record.nodes["clip"].tasks.computed == 3
    assert identity(run["end"]) == identity(graph(2).run(cache_dir=tmp_path / "other")["end"])


def test_a_plan_is_run_twice_and_stays_as_it_is(tmp_path: Path) -> None:
    from flowsynth.api.execute import execute
    from flowsynth.core.options import RunOptions

    source = write_source(tmp_path / "s.txt", range(40))
    g = Graph("twice")
    clip = g.add("clip", Counter(path=source))
    g.add("sum", Sum(), frames=g.add("mapped", Noted(), frames=clip))
    with Session(tmp_path / "cache") as session:
        plan = session.plan(g)
        before = {name: (s.key, s.status, s.outputs, s.notes) for name, s in plan.steps.items()}
        first, second = (execute(session, plan, RunOptions(), Observer()) for _ in range(2))
        assert {name: (s.key, s.status, s.outputs, s.notes) for name, s in plan.steps.items()} == before
        assert first["sum"] == second["sum"]
        assert {n.status for n in first.record.nodes.values()} == {"computed"}
        assert {n.status for n in second.record.nodes.values()} == {"hit"}
        with pytest.raises(AttributeError):
            plan.steps["sum"].status = "hit"  # type: ignore[misc]


def test_nothing_is_lost_from_a_cache_that_was_read_while_it_was_mended(tmp_path: Path) -> None:
    source = write_source(tmp_path / "s.txt", range(40))
    sampled(source, 1).run(cache_dir=tmp_path / "cache")
    damage(tmp_path / "cache", sampled(source, 1), "clip")
    sampled(source, 3).run(cache_dir=tmp_path / "cache")
    with Cache(tmp_path / "cache") as cache:
        assert cache.verify() == []
