from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from flowsynth.cache.newfile import NewFiles
from tests.processes import python, start

LARGE = 400_000  # from here on room is set aside


@pytest.fixture(params=["unnamed", "named"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> NewFiles:
    """Both ways to write a file."""
    new = NewFiles(str(tmp_path / "tmp"))
    if request.param == "named":
        new.unnamed = False
    elif not new.unnamed:
        pytest.skip("NOT CHECKED: no files without a name on this system")
    return new


def target(tmp_path: Path) -> Path:
    return tmp_path / "objects" / "ab" / "abcd"


def found(tmp_path: Path) -> list[str]:
    """All files there are, temporary ones too."""
    return sorted(path.name for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.parametrize("nbytes", [0, 1, LARGE])
def test_a_file_is_made_with_its_folder_and_nothing_beside_it(
    files: NewFiles, tmp_path: Path, nbytes: int
) -> None:
    path = target(tmp_path)
    for name in ("abcd", "abce"):  # the first of its folder, and the next
        assert files.create(str(path.with_name(name)), [b"head", bytes(nbytes)], 4 + nbytes)
        assert path.with_name(name).read_bytes() == b"head" + bytes(nbytes)
    assert found(tmp_path) == ["abcd", "abce"]


def test_permissions_are_those_of_any_new_file(files: NewFiles, tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    for name in ("abcd", "abce"):
        files.create(str(target(tmp_path).with_name(name)), [b"x"], 1)
        assert target(tmp_path).with_name(name).stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_file_that_is_there_stays_until_it_is_replaced(files: NewFiles, tmp_path: Path) -> None:
    path = target(tmp_path)
    assert files.create(str(path), [b"old"], 3)
    assert not files.create(str(path), [b"new"], 3)
    assert path.read_bytes() == b"old"
    with path.open("rb") as reader:
        files.replace(str(path), [b"new"], 3)
        assert reader.read() == b"old", "who has it open keeps what he has"
    assert path.read_bytes() == b"new"
    assert found(tmp_path) == ["abcd"]


LIMITED = """
import errno, resource, sys
from pathlib import Path
from flowsynth.cache.newfile import NewFiles
root, unnamed, nbytes = Path(sys.argv[1]), sys.argv[2] == "True", int(sys.argv[3])
files = NewFiles(str(root / "tmp"))
files.unnamed = unnamed
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
for write in (files.create, files.replace):
    try:
        write(str(root / "ab" / "abcd"), [bytes(nbytes)], nbytes)
    except OSError as error:
        assert error.errno == errno.EFBIG, error
    else:
        raise SystemExit("no error")
assert files.unnamed == unnamed, "that says nothing about files without a name"
"""


@pytest.mark.skipif(os.name != "posix", reason="RLIMIT_FSIZE")
@pytest.mark.parametrize("nbytes", [2000, LARGE])
def test_a_write_that_fails_leaves_nothing(files: NewFiles, tmp_path: Path, nbytes: int) -> None:
    python(LIMITED, tmp_path, files.unnamed, nbytes)
    assert found(tmp_path) == []


def test_where_files_without_a_name_are_refused_they_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As NFS and exFAT refuse them; neither can be mounted here."""
    files = NewFiles(str(tmp_path / "tmp"))
    if not files.unnamed:
        pytest.skip("NOT CHECKED: no files without a name on this system")
    system, asked = os.open, []

    def refusing(path: Any, flags: int, *rest: Any) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            asked.append(path)
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        return system(path, flags, *rest)

    monkeypatch.setattr(os, "open", refusing)
    for name in ("abcd", "abce"):
        assert files.create(str(target(tmp_path).with_name(name)), [b"x"], 1)
    assert found(tmp_path) == ["abcd", "abce"]
    assert len(asked) == 1, "asked once, not at every file"


def test_where_no_file_can_be_made_the_reason_is_given(files: NewFiles, tmp_path: Path) -> None:
    (tmp_path / "objects").write_bytes(b"a file")
    with pytest.raises((NotADirectoryError, FileExistsError)):
        files.create(str(target(tmp_path)), [b"x"], 1)
    assert found(tmp_path) == ["objects"]


KILLED = """
import sys
from flowsynth.cache.newfile import NewFiles
files = NewFiles(sys.argv[1] + "/tmp")
assert files.unnamed
print("ready", flush=True)
for n in range(100000):
    files.create(f"{sys.argv[1]}/{n}", [bytes([n % 256]) * 3_000_000], 3_000_000)
"""


def test_a_killed_writer_leaves_whole_files_only(tmp_path: Path) -> None:
    if not NewFiles(str(tmp_path)).unnamed:
        pytest.skip("NOT CHECKED: no files without a name on this system")
    for _ in range(5):
        process = start(KILLED, tmp_path)
        assert process.stdout.readline() == "ready\n"
        while len(found(tmp_path)) < 5:
            assert process.returncode is None
        process.kill()
        process.communicate()
        left = [path for path in tmp_path.iterdir() if path.is_file()]
        assert {path.stat().st_size for path in left} == {3_000_000}
        assert not (tmp_path / "tmp").exists()
        for path in left:
            path.unlink()
