"""Folders of large files go with their owner, and a killed owner's go with the next open of the cache."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flowsynth.cache.errors import CacheError
from flowsynth.cache.scratch import PLACE, Scratch
from flowsynth.cache.store import Cache
from tests.processes import start

OWNER = """
import sys, time
from pathlib import Path
from flowsynth.cache.scratch import Scratch
scratch = Scratch(Path(sys.argv[1]))
part = scratch.folder / "transformer"
part.mkdir()
(part / "group_1.safetensors").write_bytes(bytes(1000))
print(scratch.folder, flush=True)
time.sleep(100)
"""


def test_a_killed_owner_s_folder_goes_with_the_next_open_and_a_live_one_s_stays(tmp_path: Path) -> None:
    children = [start(OWNER, tmp_path) for _ in range(2)]
    dead, live = (Path(child.stdout.readline().strip()) for child in children)
    children[0].kill()
    children[0].communicate()
    assert dead.is_dir(), "SIGKILL leaves it"
    os.utime(live, (0, 0))  # of years ago, and still its owner's
    Cache(tmp_path, read_only=True).close()
    assert dead.is_dir(), "who only looks removes nothing"
    Cache(tmp_path).close()
    assert not dead.exists()
    assert (live / "transformer" / "group_1.safetensors").stat().st_size == 1000
    children[1].kill()
    children[1].communicate()
    assert Scratch(tmp_path).folder.parent == tmp_path / PLACE
    assert not live.exists(), "without a cache, the next owner does it"


def test_it_ends_with_its_owner_or_when_closed_but_not_with_a_fork(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    (scratch.folder / "file").touch()
    number = os.fork()
    if number == 0:
        try:
            scratch.close()
        finally:
            os._exit(0)
    os.waitpid(number, 0)
    Cache(tmp_path).close()
    assert (scratch.folder / "file").exists()
    other = Scratch(tmp_path)
    folders = [scratch.folder, other.folder]
    scratch.close()
    del other
    assert not any(folder.exists() for folder in folders)


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    Cache(tmp_path / "cache").close()
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.jpg").touch()
    place = tmp_path / "cache" / PLACE
    place.mkdir()
    (place / "notes").mkdir()
    (place / ("ab" * 16)).symlink_to(photos)
    left = place / ("cd" * 16)
    left.mkdir()
    (left / "link").symlink_to(photos)
    Cache(tmp_path / "cache").close()
    assert not left.exists()
    assert (place / "notes").is_dir()
    assert (photos / "a.jpg").exists()
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / PLACE).symlink_to(place)
    with pytest.raises(CacheError, match="is a link; expected a folder"):
        Scratch(linked)


def test_where_a_cache_may_not_be_written_it_lies_in_the_user_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWSYNTH_CACHE", str(tmp_path / "own"))
    monkeypatch.setattr("flowsynth.cache.scratch.is_unwritable", lambda _: True)
    assert Scratch(tmp_path / "others").folder.parent == tmp_path / "own" / PLACE
    assert not (tmp_path / "others").exists()
    assert Scratch().folder.parent == tmp_path / "own" / PLACE
