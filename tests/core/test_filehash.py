"""Hashes of files: by content, remembered, and clear about files that are not there."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from pathlib import Path

import pytest

from flowsynth.core.errors import InputError, RunError
from flowsynth.core.filehash import file_hash, tells_of_changes, watching


def settled(file: Path, data: bytes) -> Path:
    """A file that was written a while ago, as its change time says."""
    file.write_bytes(data)
    time.sleep(0.06)
    return file


def test_hashes_of_files_follow_their_content_and_are_remembered(tmp_path: Path) -> None:
    file, memo = tmp_path / "w.safetensors", tmp_path / "memo"
    first = file_hash(settled(file, b"one"), memo)
    entry = next(memo.iterdir())
    assert first in entry.read_text()
    file.write_bytes(b"two!")
    assert file_hash(file, memo) != first
    file.write_bytes(b"one")
    assert file_hash(file, memo) == first


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "going.mp4").touch()
    with pytest.raises(InputError, match=r"gone\.mp4: no such file.*did you mean 'going.mp4'"):
        file_hash(tmp_path / "gone.mp4")
    with pytest.raises(InputError, match="is a folder; expected a file"):
        file_hash(tmp_path)


def test_an_empty_file_has_a_hash(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert len(file_hash(tmp_path / "empty")) == 40


@pytest.mark.parametrize("how", ["cp -p", "touch -r", "rsync", "memory"])
def test_other_bytes_of_the_same_size_and_time_are_seen(how: str, tmp_path: Path) -> None:
    one, two, memo = tmp_path / "a", settled(tmp_path / "b", b"2" * 99), tmp_path / "memo"
    settled(one, b"1" * 99)
    for file in (one, two):
        os.utime(file, (1.7e9, 1.7e9))
    time.sleep(0.06)
    first = file_hash(one, None if how == "memory" else memo)
    assert how == "memory" or len(list(memo.iterdir())) == 1
    if how == "touch -r":
        one.write_bytes(b"2" * 99)
        os.utime(one, (1.7e9, 1.7e9))
    elif how == "rsync":
        shutil.copy2(two, tmp_path / "new")
        (tmp_path / "new").replace(one)
    else:
        with one.open("r+b") as opened:
            opened.write(two.read_bytes())
        shutil.copystat(two, one)
    assert file_hash(one, memo) != first
    assert file_hash(one, memo) == file_hash(two, memo)


def test_what_was_written_this_moment_is_not_remembered(tmp_path: Path) -> None:
    file, memo = tmp_path / "w", tmp_path / "memo"
    file.write_bytes(b"1")
    file_hash(file, memo)
    assert not memo.exists()


def _hash_again_and_again(file: Path) -> None:
    """On a busy machine a writer may not come to write for as long as it takes once, or some times."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        file_hash(file)


def test_a_file_that_does_not_hold_still_is_refused(tmp_path: Path) -> None:
    file, begun, over = tmp_path / "w", threading.Event(), threading.Event()
    with file.open("wb") as opened:
        opened.truncate(200 << 20)

    def write() -> None:
        with file.open("ab", buffering=0) as opened:
            while not over.is_set():
                begun.set()
                opened.write(b"x")

    writer = threading.Thread(target=write)
    writer.start()
    begun.wait()
    try:
        with pytest.raises(InputError, match="w: changes while it is read"):
            _hash_again_and_again(file)
    finally:
        over.set()
        writer.join()


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for name in ("pipe", "socket"):
            with pytest.raises(InputError, match=f"{name}: is no regular file"):
                file_hash(tmp_path / name)
    with pytest.raises(InputError, match="is no regular file"):
        file_hash(Path("/dev/zero"))


def test_a_watch_knows_every_file_that_was_hashed_inside(tmp_path: Path) -> None:
    outer_file, inner_file = settled(tmp_path / "a", b"1"), settled(tmp_path / "b", b"2")
    with watching() as outer:
        file_hash(outer_file)
        with watching() as inner:
            file_hash(inner_file)
    outer.check()
    inner_file.write_bytes(b"3")
    for watch in (outer, inner):
        with pytest.raises(RunError, match="b changed while the run went on"):
            watch.check()
    outer_file.unlink()
    with pytest.raises(RunError, match="a went away while"):
        outer.check()


@pytest.mark.parametrize(
    ("ago", "fraction", "told"),
    [
        (0.02, 0.5, False),
        (0.2, 0.5, True),
        (0.2, 0.0, False),
        (2.2, 0.0, False),
        (3.2, 0.0, True),
        (-9, 0.5, False),
    ],
)
def test_a_clock_that_counts_in_seconds_is_not_trusted_at_once(
    ago: float, fraction: float, told: bool
) -> None:
    """Two writes in one tick have one stamp; a time without a fraction may be of a clock of two seconds."""
    changed = 1_700_000_000_000_000_000 + int(fraction * 1e9)
    assert tells_of_changes(changed, changed + int(ago * 1e9)) is told
