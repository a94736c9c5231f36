"""What a run keeps: by policy, by what it costs to have it again, and never so that results differ."""

from __future__ import annotations

import threading
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import flowsynth as fs
from flowsynth.api import Graph, Run, Session
from flowsynth.cache import Cache
from flowsynth.core.errors import FlowsynthError
from flowsynth.core.graph import Handle
from flowsynth.core.refs import objects_of
from flowsynth.core.streams import Map, Source, StreamInfo, StreamKind
from flowsynth.executors import perform, room
from flowsynth.executors.order import Order
from flowsynth.values import Frames
from tests.executors.lives import identity


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operators take the time that their `pause` says, on a busy machine too."""
    spent, really = threading.local(), perform.call

    def call(order: Order, context: fs.RunContext, inputs: dict[str, Any]) -> dict[str, Any]:
        spent.seconds = getattr(spent, "seconds", 0.0) + getattr(order.operator, "pause", 0.0)
        return really(order, context, inputs)

    monkeypatch.setattr(perform, "call", call)
    monkeypatch.setattr(perform, "time", SimpleNamespace(perf_counter=lambda: getattr(spent, "seconds", 0.0)))


class Wide(fs.Operator):
    """Frames of a size, made at once, or slowly."""

    op = "kp_wide"
    version = 1
    count: int = 8
    side: int = 64
    pause: float = 0.0

    def stream(self) -> StreamKind:
        return Source()

    def probe(self, ctx: fs.RunContext) -> StreamInfo:
        return StreamInfo(self.count, Fraction(12))

    def probe_size(self, ctx: fs.RunContext) -> tuple[int, int]:
        return self.side, self.side

    def run(self, ctx: fs.RunContext, /) -> Frames:
        assert ctx.span is not None
        ramp = torch.arange(self.side, dtype=torch.uint8).expand(ctx.span.count, 3, self.side, self.side)
        return Frames(ramp.contiguous(), 12)


class Add(fs.Operator):
    """Brighter by a number, made at once, or slowly."""

    op = "kp_add"
    version = 1
    same_size = "frames"
    more: int = 1
    pause: float = 0.0

    def stream(self) -> StreamKind:
        return Map()

    def run(self, ctx: fs.RunContext, /, *, frames: Frames) -> Frames:
        return frames.with_data(frames.tensor + self.more)


def chain(pauses: dict[str, float], **nodes: str) -> Graph:
    """A source and brighter ones; the last one is delivered."""
    g = Graph("keep")
    last: Handle | None = None
    for name, pause in pauses.items():
        cache = nodes.get(name, "auto")
        if last is None:
            last = g.add(name, Wide(pause=pause), cache=cache)
        else:
            last = g.add(name, Add(pause=pause, more=len(name)), frames=last, cache=cache)
    g.outputs = [name]
    return g


def there(run: Run, cache: Path) -> set[str]:
    """The nodes whose frames are all in a cache."""
    with Cache(cache, read_only=True) as opened:
        return {
            name
            for name, made in run._runs.items()
            if all(
                map(opened.has_object, [n for ref in (made.outputs or {}).values() for n in objects_of(ref)])
            )
        }


CHEAP = {"clip": 0.0, "a": 0.0, "bb": 0.0, "end": 0.0}
#: A chunk of four frames takes 49 kB, which ten megabytes a second make worth 5 ms.
MIXED = {"clip": 0.0, "a": 0.2, "bb": 0.0, "ccc": 0.2, "end": 0.0}


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_what_is_costly_is_kept(tmp_path: Path, executor: str) -> None:
    g = chain(MIXED)
    first = g.run(cache_dir=tmp_path, chunk=4, executor=executor)
    assert {"a", "ccc", "end"} == there(first, tmp_path)
    again = g.run(cache_dir=tmp_path, chunk=4, executor=executor)
    assert identity(again["end"]) == identity(first["end"])


@pytest.mark.parametrize(("keep", "kept"), [("costly", {"end"}), ("all", {*CHEAP}), ("outputs", {"end"})])
def test_policies_act(tmp_path: Path, keep: str, kept: set[str]) -> None:
    g = chain(CHEAP)
    run = g.run(cache_dir=tmp_path, chunk=4, keep=keep)
    assert there(run, tmp_path) == kept
    expected = chain(CHEAP).run(cache_dir=tmp_path / "other")
    assert identity(run["end"]) == identity(expected["end"])
    assert {name: node.key for name, node in run.record.nodes.items()} == {
        name: node.key for name, node in expected.record.nodes.items()
    }


def test_only_outputs_are_kept_of_costly_ones_too(tmp_path: Path) -> None:
    g = chain(MIXED)
    first = g.run(cache_dir=tmp_path, chunk=4, keep="outputs")
    assert there(first, tmp_path) == {"end"}
    assert all(n.status == "hit" for n in g.run(cache_dir=tmp_path, chunk=4).record.nodes.values())


def test_a_nodes_own_word_goes_first(tmp_path: Path) -> None:
    g = chain(CHEAP, a="always", bb="never")
    run = g.run(cache_dir=tmp_path, chunk=4, keep="outputs")
    assert there(run, tmp_path) == {"a", "end"}
    run = g.run(cache_dir=tmp_path / "all", chunk=4, keep="all")
    assert there(run, tmp_path / "all") == {"clip", "a", "end"}


def test_what_is_not_kept_above_counts(tmp_path: Path) -> None:
    """Each node of a row is too cheap to keep; together they are not."""
    pauses = {"clip": 0.0, **{"n" * i: 0.002 for i in range(1, 13)}, "end": 0.0}
    g = chain(pauses)
    kept = there(g.run(cache_dir=tmp_path, chunk=4), tmp_path) - {"end"}
    assert 2 <= len(kept) <= 7, kept


def test_a_change_makes_again_what_it_needs(tmp_path: Path) -> None:
    chain(CHEAP).run(cache_dir=tmp_path, chunk=4)
    other = chain({**CHEAP, "more": 0.0})
    run = other.run(cache_dir=tmp_path, chunk=4)
    fresh = chain({**CHEAP, "more": 0.0}).run(cache_dir=tmp_path / "fresh", chunk=4)
    assert identity(run["more"]) == identity(fresh["more"])
    assert run.record.nodes["clip"].status == "hit"


def test_a_wrong_policy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FlowsynthError, match="'costly', 'all' or 'outputs'"):
        chain(CHEAP).run(cache_dir=tmp_path, keep="everything")


def test_frames_that_find_no_room_are_refused_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    g = Graph("large")
    clip = g.add("clip", Wide(count=1000, side=1000, pause=60))
    g.add("end", Add(), frames=clip)
    g.outputs = ["end"]
    monkeypatch.setattr(room, "free_disk", lambda folder: 700 << 20)
    with pytest.raises(
        FlowsynthError, match=r"cache\.dir: expected 715\.3 MiB .* end, .* 700\.0 MiB"
    ) as told:
        g.run(cache_dir=tmp_path)
    assert told.value.exit_code == 2


def test_a_plan_says_how_large_frames_are(tmp_path: Path) -> None:
    g = chain(CHEAP)
    with Session(cache_dir=tmp_path) as session:
        expected = 8 * 3 * 64 * 64
        assert room.foreseen(session.plan(g), session, 4) == dict.fromkeys(CHEAP, expected)
        g.run(cache_dir=tmp_path)
        assert room.foreseen(session.plan(g), session, 4) == {}
