"""Two workers that find the same lost result at the same moment: it is made again once, for both."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

import flowsynth as fs
from flowsynth.api import Graph
from flowsynth.core.context import RunContext
from flowsynth.core.refs import StreamRef
from flowsynth.core.streams import Map, StreamKind
from flowsynth.executors.scheduler import Scheduler
from flowsynth.values import Frames
from tests.executors import dags
from tests.executors.dags import Blend
from tests.executors.lives import identity
from tests.executors.test_damage import flip
from tests.streams import Counter, write_source


class Shift(fs.Operator):
    """Adds to every pixel."""

    op = "lost_shift"
    version = 1
    step: int = 3

    def stream(self) -> StreamKind:
        return Map()

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        dags.check(ctx)
        return frames.with_data(frames.tensor + self.step)


def forked(source: Path, step: int, after: int = 1) -> Graph:
    """One stream that workers of two devices read."""
    g = Graph("forked")
    clip = g.add("clip", Counter(path=source))
    shared = g.add("shared", Shift(), frames=clip)
    left, right = (
        g.add(name, Shift(step=step + i), frames=shared, device=f"sim:{i}")
        for i, name in enumerate(("left", "right"))
    )
    both = g.add("both", Blend(), clips=[left, right])
    g.add("after", Shift(step=after), frames=both)
    g.outputs = ["after"]
    return g


def damage(cache: Path, source: Path, *names: str) -> None:
    """Flip a bit in the objects of some nodes of the graph, which has run: the plan cannot know."""
    known = forked(source, 3).run(cache_dir=cache, outputs=[*names, "after"])
    for name in names:
        ref = known._runs[name].outputs
        assert ref is not None
        for part in ref.values():
            assert isinstance(part, StreamRef)
            for chunk in part.chunks:
                flip(list((cache / "objects").rglob(f"{chunk.object}*")), seed=1)


def test_both_miss_it_and_it_is_made_again_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_source(tmp_path / "s.txt", range(6))
    expected = identity(forked(source, 5).run(cache_dir=tmp_path / "other")["after"])
    forked(source, 3).run(cache_dir=tmp_path / "cache")
    damage(tmp_path / "cache", source, "shared")

    met, real = threading.Barrier(2), Scheduler.lose
    found: list[set[str]] = []

    def together(self: Scheduler, names: Iterable[str]) -> None:
        """Both have looked, in vain, before the first one says so."""
        found.append(set(names))
        met.wait(30)
        real(self, names)

    monkeypatch.setattr(Scheduler, "lose", together)
    again = forked(source, 5).run(cache_dir=tmp_path / "cache", executor="threads")
    assert len(found) == 2
    assert found[0] == found[1]
    assert identity(again["after"]) == expected
    assert again.record.nodes["shared"].tasks.computed == 1


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_what_cannot_be_made_again_ends_the_run_and_says_so(tmp_path: Path, executor: str) -> None:
    source = write_source(tmp_path / "s.txt", range(40))
    forked(source, 3).run(cache_dir=tmp_path / "cache")
    damage(tmp_path / "cache", source, "shared", "left", "right", "both")
    changed = forked(source, 3, after=2)
    with dags.breaking("shared"):
        run = changed.run(cache_dir=tmp_path / "cache", executor=executor, check=False)
    statuses = {name: node.status for name, node in run.record.nodes.items()}
    assert (statuses["shared"], statuses["after"]) == ("failed", "skipped")
    assert "computed" not in {statuses[name] for name in ("left", "right", "both")}
    assert "broken" in run.record.nodes["shared"].error
    assert run.record.status == "failed"
    assert changed.run(cache_dir=tmp_path / "cache", executor=executor).record.status == "done"
