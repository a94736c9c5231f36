"""What one machine made, others need not: through a folder that both mount."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from flowsynth.api import Session
from flowsynth.cache import Cache
from flowsynth.cache.remote import cache as shared
from tests.cache.remote.machines import FRAMES, Watched, graph, results, run, statuses
from tests.streams import write_source


@pytest.fixture
def remote(tmp_path: Path) -> str:
    """A place that a first machine has filled."""
    address = f"file://{tmp_path / 'place'}"
    run(tmp_path, "first", address)
    return address


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_empty_machine_takes_all_from_there_and_then_needs_it_no_more(tmp_path: Path, remote: str) -> None:
    expected = results(run(tmp_path, "alone", None))
    second = run(tmp_path, "second", remote)
    assert statuses(second) == {"hit"}
    assert results(second) == expected
    assert any(
        note.startswith(f"from {remote}: 3 result(s), 3 object(s) of ") for note in second.record.notes
    )
    (tmp_path / "place").rename(tmp_path / "away")
    third = run(tmp_path, "second", None)
    assert statuses(third) == {"hit"}
    assert results(third) == expected
    assert not third.record.notes


def test_a_plan_says_what_is_there_and_leaves_no_trace(tmp_path: Path, remote: str) -> None:
    before = files(tmp_path / "place")
    with Session(tmp_path / "other", remote=remote, read_only=True) as session:
        plan = session.plan(graph(tmp_path))
        assert [step.status for step in plan.steps.values()] == ["hit"] * 3
        assert all(session.cache.is_far(step.key) for step in plan.steps.values())
        changed = session.plan(graph(tmp_path, 3)).steps
        assert [step.status for step in changed.values()] == ["rerun", "run", "unknown"]
    assert not (tmp_path / "other").exists()
    assert files(tmp_path / "place") == before
    with Session(tmp_path / "other", remote=f"file://{tmp_path / 'new'}", read_only=True) as session:
        assert session.plan(graph(tmp_path)).executing()
    assert not (tmp_path / "new").exists()


def test_what_was_evicted_here_is_fetched_again(tmp_path: Path, remote: str) -> None:
    run(tmp_path, "second", remote)
    shutil.rmtree(tmp_path / "second" / "objects")
    again = run(tmp_path, "second", remote)
    assert statuses(again) == {"hit"}
    assert results(again) == results(run(tmp_path, "alone", None))
    shutil.rmtree(tmp_path / "second" / "objects")
    assert statuses(run(tmp_path, "second", None)) == {"hit", "computed"}


def test_other_chunks_of_a_stream_are_taken_one_by_one(tmp_path: Path, remote: str) -> None:
    longer = tmp_path / "longer"
    longer.mkdir()
    write_source(longer / "source.txt", range(FRAMES + 8))
    found = run(longer, "machine", remote)
    tasks = found.record.nodes["mean"].tasks
    assert tasks.hit
    assert tasks.computed
    assert results(found) == results(run(longer, "alone", None))


def test_rows_are_asked_for_together_and_misses_once(
    tmp_path: Path, remote: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, watched = shared._place, []

    def place(address: str, read_only: bool) -> Watched:
        watched.append(Watched(real(address, read_only)))
        return watched[-1]

    monkeypatch.setattr(shared, "_place", place)
    run(tmp_path, "second", remote)
    asked = list(watched[0].names("get"))
    assert asked[1].startswith("graphs/")  # what a plan begins with: the keys of all that follows
    assert len(asked) == len(set(asked))
    run(tmp_path, "third", remote, radius=1)
    asked = list(watched[1].names("get"))
    assert len(asked) == len(set(asked))
    objects, rows = (set(watched[1].names("put", kind)) for kind in ("objects/", "rows/"))
    assert len(objects) >= 3
    assert rows


def test_parts_of_a_nodes_work_stay_here(tmp_path: Path) -> None:
    """One look into a place takes as long as some of them take to make."""
    from flowsynth.cache.remote.folder import FolderPlace
    from flowsynth.cache.remote.tier import Remote
    from flowsynth.core.codec import Encoded
    from flowsynth.executors.kept import CacheKept

    place = Watched(FolderPlace(tmp_path / "place"))
    with shared.SharedCache(tmp_path / "cache", Remote(place, "file://place")) as cache:
        kept = CacheKept(cache, "code")
        assert kept.find("x") is None
        kept.keep({"x": Encoded({"part": 1})}, 1.0)
        assert kept.find("x") == Encoded({"part": 1})
        cache.settle(1.0, print)
    assert place.log == []


def test_objects_are_there_before_the_rows_that_speak_of_them(tmp_path: Path) -> None:
    from flowsynth.cache.remote.folder import FolderPlace
    from flowsynth.cache.remote.letter import objects_in, opened
    from flowsynth.cache.remote.tier import Remote

    place = FolderPlace(tmp_path / "place")
    seen: list[str] = []

    def before(what: str, name: str) -> None:
        if what == "put" and name.startswith("rows/"):
            seen.append(name)

    watched = Watched(place, before)
    remote = Remote(watched, "file://place")
    remote.begin(False)
    with shared.SharedCache(tmp_path / "cache", remote) as cache:
        run_with(tmp_path, cache)
    puts = list(watched.names("put"))
    for name in seen:
        got = place.get(name)
        assert got is not None
        key = Path(name).name
        for held in objects_in(key, opened(key, b"".join(got.parts))):
            there = f"objects/{held[:2]}/{held}"
            assert there not in puts or puts.index(there) < puts.index(name)
    assert len(seen) > 3


def run_with(folder: Path, cache: Cache) -> None:
    """Run the graph on a cache that is open."""
    with Session(folder / "unused") as session:
        session.cache.close()
        session.cache = cache
        graph(folder).run(session=session, chunk=8)
