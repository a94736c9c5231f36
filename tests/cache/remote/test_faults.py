"""Places that are damaged, hostile, gone, or refuse: no wrong result, and no run that fails for them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import flowsynth as fs
from flowsynth.api import Graph
from flowsynth.cache import Cache, StoredObject
from flowsynth.cache.remote import cache as shared
from flowsynth.cache.remote import tier
from flowsynth.cache.remote.folder import FolderPlace
from flowsynth.cache.remote.letter import opened, sealed
from flowsynth.cache.remote.place import DeniedError, GoneError, Place
from flowsynth.core.errors import RequestError
from flowsynth.values import Frames, Tensors
from tests import processes
from tests.cache.remote.machines import Watched, results, run, statuses
from tests.streams import Counter, write_source


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A place that a first machine has filled."""
    run(tmp_path, "first", f"file://{tmp_path / 'place'}")
    return tmp_path / "place"


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def swap(path: Path) -> None:
    """Another object or row, whole and sound, under this name."""
    if path.parts[-3] == "objects":
        held = Tensors({"x": torch.zeros(3)}).encode()
        with Cache(path.parents[3] / "swap") as cache:
            cache.put_object("f" * 40, StoredObject("Tensors", Tensors.codec_version, held))
            path.write_bytes(Path(cache.objects.path("f" * 40)).read_bytes())
    else:
        path.write_bytes(sealed("f" * 40, b"[3,null,[]]"))


def link(path: Path) -> None:
    """A link to the sound file: what lies elsewhere is no part of a place."""
    path.rename(path.parents[2] / "elsewhere")
    path.symlink_to(path.parents[2] / "elsewhere")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("kind", ["objects", "rows", "graphs"])
@pytest.mark.parametrize("harm", [flip, cut, lengthen, empty, swap])
@pytest.mark.sample(8)
def test_damage_is_found_told_and_mended(
    tmp_path: Path, place: Path, kind: str, harm: Callable[[Path], None]
) -> None:
    remote, expected = f"file://{place}", results(run(tmp_path, "first", None))
    for victim in sorted(p for p in (place / kind).rglob("*") if p.is_file()):
        harm(victim)
    second = run(tmp_path, "second", remote)
    assert second.ok
    assert results(second) == expected
    assert any("damaged file(s)" in note for note in second.record.notes)
    third = run(tmp_path, "third", remote)
    assert not any("damaged" in note for note in third.record.notes)
    assert results(third) == expected


@pytest.mark.skipif(os.name != "posix", reason="links and pipes")
@pytest.mark.parametrize("harm", [link, pipe])
def test_only_regular_files_are_read(tmp_path: Path, place: Path, harm: Callable[[Path], None]) -> None:
    expected = results(run(tmp_path, "first", None))
    for victim in [p for p in (place / "objects").rglob("*") if p.is_file()]:
        harm(victim)
    second = run(tmp_path, "second", f"file://{place}")
    assert results(second) == expected


FORGED = [
    b"",
    b"{",
    b"[]",
    b"[1,2,3]",
    b'[3,null,["note"],1,2]',
    b'["../../etc/passwd",0]',
    b'{"out":[],"s":1}\n{}',
    b'{"out":{"mean":["o","Frames","' + b"a" * 40 + b'","many"]},"s":1}\n{}',
    b'{"out":{"mean":["o","Frames","../../../etc/passwd",4]},"s":1}\n{}',
    b'{"out":{"sum":["j","7","' + b"0" * 40 + b'"]},"s":1}\n{}',
    b'{"out":{"mean":["s","Frames",{"fps":"1/0"},"{}",[],"' + b"a" * 40 + b'"]},"s":1}\n{}',
    b'{"out":{"mean":["x"]},"s":NaN}\n{}',
    b'{"out":{},"s":-1}\n{}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("row", FORGED, ids=range(len(FORGED)))
@pytest.mark.sample(5)
def test_rows_that_no_run_writes_are_not_believed(tmp_path: Path, place: Path, row: bytes) -> None:
    for path in [p for p in (place / "rows").rglob("*") if p.is_file()]:
        path.write_bytes(sealed(path.name, row))
    second = run(tmp_path, "second", f"file://{place}")
    assert second.ok
    assert statuses(second) == {"computed"}


def test_a_row_may_not_claim_what_its_frames_are_not(tmp_path: Path, place: Path) -> None:
    """A letter with a right checksum over a changed row: hashes inside it must agree with each other."""
    changed = 0
    for path in [p for p in (place / "rows").rglob("*") if p.is_file()]:
        row = opened(path.name, path.read_bytes())
        if b'["s"' in row:
            path.write_bytes(sealed(path.name, row.replace(b'"fps":"12', b'"fps":"13')))
            changed += 1
    assert changed
    second = run(tmp_path, "second", f"file://{place}")
    assert results(second) == results(run(tmp_path, "first", None))
    assert any("damaged" in note for note in second.record.notes)


class Vanish(fs.Operator):
    """Takes a place away while the run goes on."""

    op = "remote_vanish"
    version = 1
    place: str

    def cacheable(self) -> bool:
        return False

    def run(self, ctx: fs.RunContext, /, *, x: Frames) -> int:
        if Path(self.place).exists():
            Path(self.place).rename(f"{self.place}.away")
        return 1


def test_a_place_that_goes_away_does_not_end_the_run(tmp_path: Path) -> None:
    address = f"file://{tmp_path / 'place'}"
    g = Graph("vanishing")
    write_source(tmp_path / "source.txt", range(20))
    clip = g.add("clip", Counter(path=tmp_path / "source.txt"))
    gone = g.add("gone", Vanish(place=str(tmp_path / "place")), x=clip)
    g.add("late", Late(), frames=clip, after=gone, cache="always")
    g.outputs = ["late"]
    found = g.run(cache_dir=tmp_path / "cache", remote=address, chunk=8)
    assert found.ok
    said = [note for note in found.record.notes if address in note]
    assert said[0] == f"{address} did not answer (the folder is gone); the run went on without it"
    assert "not in" in said[1]
    assert len(said) == 2
    assert statuses(g.run(cache_dir=tmp_path / "cache", chunk=8)) == {"hit", "computed"}


class Late(fs.Operator):
    """Reads frames when something else is over."""

    op = "remote_late"
    version = 1

    def run(self, ctx: fs.RunContext, /, *, frames: Frames, after: int) -> Frames:
        return frames.with_data(frames.tensor + after)


def wrapped(monkeypatch: pytest.MonkeyPatch, before: Callable[[str, str], None]) -> list[Watched]:
    """Have places do something before they answer."""
    made: list[Watched] = []
    real = shared._place

    def place(address: str, read_only: bool) -> Place:
        made.append(Watched(real(address, read_only), before))
        return made[-1]

    monkeypatch.setattr(shared, "_place", place)
    return made


def test_what_could_not_be_sent_is_sent_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"file://{tmp_path / 'place'}"
    monkeypatch.setattr(tier, "REST_SECONDS", 0.05)

    def down(what: str, name: str) -> None:
        if what == "put" and name != "flowsynth-cache":
            raise GoneError("it does not answer")

    with monkeypatch.context() as patch:
        made = wrapped(patch, down)
        patch.setattr("flowsynth.api.session.SETTLE_SECONDS", 0.2)
        first = run(tmp_path, "first", address)
    assert first.ok
    said = [note for note in first.record.notes if address in note]
    assert len(said) == 2
    assert f"{address} did not answer (it does not answer); the run went on without it" in said
    assert "are not in" in said[1]
    assert "sends them" in said[1]
    assert len(list(made[0].names("put", "rows/"))) < 60  # it is left alone for a while after each failure
    assert not (tmp_path / "place" / "rows").exists()
    again = run(tmp_path, "first", address)
    assert statuses(again) == {"hit"}
    assert not again.record.notes
    assert statuses(run(tmp_path, "second", address)) == {"hit"}


STOPPED = """
import os, signal, sys, threading, time
from pathlib import Path
from flowsynth.cache.remote import cache as shared
from flowsynth.core.events import Observer
from tests.cache.remote.machines import Watched, run

def slow(what, name):
    if what == "put" and name.startswith(("objects/", "rows/")):
        time.sleep(100)

class Stop(Observer):
    def note(self, node, text):
        print(text, flush=True)
        if text.startswith("copies"):
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()

real = shared._place
shared._place = lambda address, read_only: Watched(real(address, read_only), slow)
folder = Path(sys.argv[1])
run(folder, "first", f"file://{folder / 'place'}", observer=Stop(), output_dir=folder / "out")
"""


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_ends_the_waiting_and_not_the_run(tmp_path: Path) -> None:
    begin = time.monotonic()
    done = processes.run("-c", STOPPED, str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begin < 60
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["status"] == "done"
    assert [note for note in record["notes"] if "are not in" in note]
    assert "copies " in done.stdout
    address = f"file://{tmp_path / 'place'}"
    run(tmp_path, "first", address)
    assert statuses(run(tmp_path, "second", address)) == {"hit"}


def test_rows_wait_for_their_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an object does not arrive, no row that speaks of it does."""
    monkeypatch.setattr("flowsynth.api.session.SETTLE_SECONDS", 0.2)

    def no_objects(what: str, name: str) -> None:
        if what == "put" and name.startswith("objects/"):
            raise GoneError("it does not answer")

    wrapped(monkeypatch, no_objects)
    run(tmp_path, "first", f"file://{tmp_path / 'place'}")
    held = {p.name for p in (tmp_path / "first" / "objects").rglob("*") if p.is_file()}
    rows = [p for p in (tmp_path / "place" / "rows").rglob("*") if p.is_file()]
    assert held
    assert not any(name.encode() in p.read_bytes() for name in held for p in rows)


def test_a_place_that_may_only_be_read(tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(what: str, name: str) -> None:
        if what == "put":
            raise DeniedError("AccessDenied")
        if what == "get" and not (place / name).exists():
            raise DeniedError("AccessDenied")  # S3 says so of what is missing, to who may not list

    made = wrapped(monkeypatch, refused)
    found = run(tmp_path, "second", f"file://{place}", radius=1)
    assert found.ok
    assert [note for note in found.record.notes if "may not be written (AccessDenied)" in note]
    assert not any("did not answer" in note for note in found.record.notes)
    assert len(list(made[0].names("put"))) <= 40
    assert statuses(run(tmp_path, "third", f"file://{place}")) == {"hit"}


@pytest.mark.parametrize("fault", [GoneError("it does not answer"), DeniedError("NoSuchBucket")])
def test_a_place_that_cannot_be_used_is_said_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def fails(what: str, name: str) -> None:
        raise fault

    wrapped(monkeypatch, fails)
    with pytest.raises(RequestError, match=f"^cache.remote: file:.*/place: {fault}; expected a place"):
        run(tmp_path, "first", f"file://{tmp_path / 'place'}")
    assert not (tmp_path / "first").exists()


def test_a_folder_of_other_files_is_no_place(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(RequestError, match="a folder with other files"):
        run(tmp_path, "first", f"file://{tmp_path / 'mine'}")
    (tmp_path / "mine" / "flowsynth-cache").write_text('{"format": 2}')
    with pytest.raises(RequestError, match="expected a cache of this program"):
        run(tmp_path, "first", f"file://{tmp_path / 'mine'}")
    with pytest.raises(RequestError, match="No such file or directory"):
        run(tmp_path, "first", f"file://{tmp_path / 'no' / 'such'}")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "source.txt"]


def test_a_place_asked_for_too_much_says_no(tmp_path: Path, place: Path) -> None:
    """A file of holes that claims terabytes is not even opened."""
    victim = next(p for p in (place / "objects").rglob("*") if p.is_file())
    with victim.open("r+b") as file:
        file.truncate(1 << 40)
    rows = next(p for p in (place / "rows").rglob("*") if p.is_file())
    with rows.open("r+b") as file:
        file.truncate(1 << 40)
    found = run(tmp_path, "second", f"file://{place}")
    assert results(found) == results(run(tmp_path, "first", None))


def test_half_written_files_of_killed_processes_go(tmp_path: Path) -> None:
    from flowsynth.cache.platform import host_tag

    FolderPlace(tmp_path / "place").put("rows/aa/" + "a" * 40, b"x")
    left = tmp_path / "place" / "tmp" / f"{host_tag()}.999999999.1.tmp"
    left.write_bytes(b"half")
    (tmp_path / "place" / "flowsynth-cache").write_text("x")
    FolderPlace(tmp_path / "place")
    assert not left.exists()
