"""What is measured of steps, and the small pictures that are kept of what they make."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest

import flowsynth as fs
from flowsynth.cache.previews import Previews
from flowsynth.executors.clock import MOST_STRETCHES, Clock, joined
from flowsynth.executors.memory import Peak
from flowsynth.executors.previews import FREE_SECONDS, PreviewMaker
from flowsynth.media.strip import TILES, picked, read_strip
from tests.streams import Counter, Invert, write_source


class Rest(fs.Operator):
    """Takes its time, and says what it was told."""

    op = "clock_rest"
    version = 1
    seconds: float = 0.05
    value: int = 1

    def run(self, ctx: fs.RunContext, /, *, x: int = 0) -> int:
        time.sleep(self.seconds)
        return x + self.value


def chain(value: int = 1) -> fs.Graph:
    graph = fs.Graph("clock")
    first = graph.add("first", Rest())
    graph.add("second", Rest(seconds=0.02, value=value), x=first)
    return graph


def test_a_record_says_when_what_was_saved_and_what_changed(tmp_path: Path) -> None:
    cold = chain().run(cache_dir=tmp_path).record
    first, second = cold.nodes["first"], cold.nodes["second"]
    assert first.started is not None
    assert first.ended is not None
    assert second.started is not None
    assert 0 <= first.started <= first.ended - 0.05 + 2e-3
    assert first.ended <= second.started + 2e-3
    assert second.started <= cold.seconds
    assert first.busy == {"cpu": [(first.started, first.ended)]}
    assert first.peak_bytes > 10_000_000
    assert cold.saved == 0
    assert not first.changed
    again = chain(value=3).run(cache_dir=tmp_path).record
    assert again.nodes["first"].status == "hit"
    assert again.nodes["first"].started is None
    assert again.nodes["first"].saved == pytest.approx(first.seconds, abs=1e-3)
    assert again.saved == pytest.approx(first.seconds, abs=1e-3)
    assert again.saved >= 0.05
    assert again.nodes["second"].changed == ["params.value: 1 -> 3"]


def test_stretches_are_few_and_keep_the_widest_gaps() -> None:
    clock = Clock()
    for i in range(1000):
        at = 10.0 * i + (1e5 if i >= 500 else 0)
        clock.worked("cpu", at - 0.5, at, at + 1 + (i % 7), 0)
    (stretches,) = clock.since(0).values()
    assert len(stretches) <= MOST_STRETCHES
    assert stretches[0][0] == 0
    assert any(a[1] < 5000 and b[0] >= 1e5 for a, b in itertools.pairwise(stretches))
    assert clock.waited == pytest.approx(500)
    assert joined([(0, 2), (1, 3), (5, 6)], 9) == [(0, 3), (5, 6)]


def test_a_peak_is_what_the_process_has() -> None:
    peak = Peak("cpu")
    block = bytearray(64 << 20)
    assert peak.nbytes() > len(block)


@pytest.mark.parametrize("chunk", [2, 16])
def test_strips_outlive_the_objects(tmp_path: Path, chunk: int) -> None:
    write_source(tmp_path / "clip.txt", range(20))
    graph = fs.Graph("strips")
    clip = graph.add("clip", Counter(path=str(tmp_path / "clip.txt")))
    graph.add("inverse", Invert(), frames=clip)
    run = graph.run(cache_dir=tmp_path / "c", chunk=chunk, keep="outputs")
    kept = Previews(tmp_path / "c")
    with fs.Session(tmp_path / "c") as session:
        session.cache.prune(0)
    for node in run.record.nodes.values():
        data = kept.get(node.objects["out"])
        assert data is not None
        strip = read_strip(data)
        assert strip is not None
        assert (strip.tiles, strip.total) == (TILES, 20)
    assert not graph.run(cache_dir=tmp_path / "d", previews=False).record.saved
    assert not (tmp_path / "d" / "previews").exists()


def test_pictures_are_left_out_where_there_is_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_source(tmp_path / "clip.txt", range(20))
    graph = fs.Graph("strips")
    graph.add("clip", Counter(path=str(tmp_path / "clip.txt")))
    assert FREE_SECONDS <= 0.1
    monkeypatch.setattr("flowsynth.executors.previews.FREE_SECONDS", -1.0)
    graph.run(cache_dir=tmp_path / "c")
    assert not (tmp_path / "c" / "previews").exists()
    assert PreviewMaker(Previews(tmp_path)) is not None


def test_frames_are_picked_evenly() -> None:
    assert picked(1) == [0]
    assert picked(3) == [0, 1, 2]
    assert len(picked(1000)) == TILES
    assert picked(16) == [1, 3, 5, 7, 9, 11, 13, 15]


def test_only_pictures_of_ours_are_read_and_removed(tmp_path: Path) -> None:
    kept, name = Previews(tmp_path), "ab" * 20
    assert kept.put(name, b"\xff\xd8\xff" + b"x" * 100)
    assert kept.has(name)
    assert kept.get("../../etc/passwd") is None
    assert not kept.put("../x", b"\xff\xd8\xff")
    other = tmp_path / "previews" / "ab" / "notes.txt"
    other.write_text("mine")
    (tmp_path / "previews" / "ab" / f"{'cd' * 20}.jpg").symlink_to(other)
    assert kept.get("cd" * 20) is None
    kept.put("ab" + "cd" * 19, b"<html>")
    assert kept.get("ab" + "cd" * 19) is None
    assert kept.prune(0) >= 2
    assert other.read_text() == "mine"
    assert not kept.has(name)
