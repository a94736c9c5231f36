"""Hashes of files: by content, remembered, and clear about files that are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowsynth.core.errors import InputError
from flowsynth.core.filehash import file_hash


def test_hashes_of_files_follow_their_content_and_are_remembered(tmp_path: Path) -> None:
    file, memo = tmp_path / "w.safetensors", tmp_path / "memo"
    file.write_bytes(b"one")
    first = file_hash(file, memo)
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
