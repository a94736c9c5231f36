"""What a plan says of tasks before they run, beside what the run then does."""

from __future__ import annotations

from pathlib import Path

import flowsynth as fs
from flowsynth.api.session import Session
from flowsynth.core.refs import objects_of
from flowsynth.executors.forecast import forecast
from tests.streams import Counter, Invert, Mean, Reverse, Smooth, Sum, Twice, write_source

CHUNK = 16


def graph(source: Path, strength: int = 255) -> fs.Graph:
    g = fs.Graph("forecast")
    clip = g.add("clip", Counter(path=source))
    inverse = g.add("inverse", Invert(strength=strength), frames=clip)
    mean = g.add("mean", Mean(), frames=inverse)
    twice = g.add("twice", Twice(), frames=mean)
    smooth = g.add("smooth", Smooth(), frames=twice)
    g.add("sum", Sum(), frames=smooth)
    g.add("reverse", Reverse(), frames=mean)
    return g


def seen(g: fs.Graph, folder: Path) -> dict[str, tuple[int | None, int | None]]:
    with Session(folder, read_only=True) as session:
        return {
            name: (found.tasks, found.hits)
            for name, found in forecast(session.plan(g), session, CHUNK).items()
        }


def test_before_the_first_run_only_whole_values_are_counted(tmp_path: Path) -> None:
    found = seen(graph(write_source(tmp_path / "s.txt", range(40))), tmp_path / "cache")
    assert found.pop("clip") == (None, None)
    assert set(found.values()) <= {(None, None), (1, None)}
    assert not (tmp_path / "cache").exists()


def test_counts_are_those_of_the_run(tmp_path: Path) -> None:
    source, cache = write_source(tmp_path / "s.txt", range(40)), tmp_path / "cache"
    first = graph(source).run(cache_dir=cache).record.nodes
    known = seen(graph(source), cache)
    assert known == {name: (node.tasks.computed,) * 2 for name, node in first.items()}
    changed = seen(graph(source, 200), cache)
    after = graph(source, 200).run(cache_dir=cache).record.nodes
    assert changed["inverse"] == (3, 0)
    assert changed["mean"] == (3, None), "how long it is follows from the probe, what is in it does not"
    assert changed["twice"] == (5, None)
    for name in ("inverse", "mean", "twice", "smooth", "sum"):
        assert changed[name][0] == after[name].tasks.computed + after[name].tasks.hit


def test_chunks_of_a_longer_clip_that_are_known_are_hits(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    graph(write_source(tmp_path / "s.txt", range(40))).run(cache_dir=cache, keep="all")
    longer = graph(write_source(tmp_path / "s.txt", range(80)))
    assert seen(longer, cache)["clip"] == (None, None), "the longer file has not been probed"
    longer.run(cache_dir=cache, outputs=["clip"])
    expected = seen(longer, cache)
    assert expected["inverse"] == (5, 2)
    tasks = longer.run(cache_dir=cache).record.nodes["inverse"].tasks
    # Where the second hit's value was too cheap to keep, and its neighbour's window reads it, it ran.
    assert (tasks.hit, tasks.computed) in [(1, 4), (2, 3)]


def test_objects_that_are_gone_are_no_hits(tmp_path: Path) -> None:
    source, cache = write_source(tmp_path / "s.txt", range(40)), tmp_path / "cache"
    g = graph(source)
    run = g.run(cache_dir=cache, outputs=["mean"])
    assert run.ok
    with Session(cache, read_only=True) as session:
        (mean,) = (session.plan(g, ["mean"]).steps["mean"].outputs or {}).values()
        Path(session.cache.objects.path(objects_of(mean)[0])).unlink()
        plan = session.plan(g, ["mean"])
        assert plan.steps["mean"].status == "rerun"
        assert forecast(plan, session, CHUNK)["mean"] == (3, 2)


def test_looking_leaves_no_files_of_the_index_behind(tmp_path: Path) -> None:
    g, cache = graph(write_source(tmp_path / "s.txt", range(40))), tmp_path / "cache"
    g.run(cache_dir=cache)
    before = sorted(path.name for path in (cache / "index").iterdir())
    seen(g, cache)
    assert sorted(path.name for path in (cache / "index").iterdir()) == before
    assert not [name for name in before if name.endswith(("-shm", "-wal"))]
    with Session(cache) as writer:
        writer.cache.record("k" * 40, b"row", 1.0)
        seen(g, cache)
        assert (cache / "index" / "cache.db-wal").exists(), "somebody is writing: their log stays"
        assert writer.lookup("k" * 40) == b"row"
    with Session(cache, read_only=True) as reader:
        assert reader.lookup("k" * 40) == b"row"
