"""A disk that is full in the middle of a run: one clear error, nothing lost, and the run ends later."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowsynth.cache.store import Cache
from tests.executors import lives
from tests.executors.lives import Folder, new_folder, the_result

pytestmark = pytest.mark.skipif(os.name != "posix", reason="mount")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 6 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("NOT CHECKED: no right to mount a small disk here (run the tests as root)")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def the_error(folder: Folder) -> str:
    """What the one process that failed had to say."""
    (text,) = [*folder.left("error"), *folder.left("failed")]
    assert text.startswith("cache: no room for")
    assert "free some disk space" in text
    assert text.count("\n") == 0
    return text


@pytest.mark.sample(1)
@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_a_full_disk_ends_the_run_with_one_line_and_loses_nothing(
    tmp_path: Path, small_disk: Path, executor: str
) -> None:
    calm = new_folder(tmp_path / "calm")
    lives.undisturbed(calm, executor, "heavy")
    folder = new_folder(tmp_path / "full", disk=small_disk)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(2_500_000))
    process = lives.start(folder, executor, graph="heavy")
    process.join(60)
    assert process.exitcode == 1
    the_error(folder)
    finished = folder.finished()
    before = len(folder.executions())
    assert before >= 3
    assert finished
    with Cache(folder.cache, read_only=True) as cache:
        assert cache.verify() == []
    assert list((folder.cache / "tmp").iterdir()) == []
    filler.unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    check_it_completes(folder, calm, executor, finished, before)


@pytest.mark.sample(1)
@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_files_that_may_not_grow_end_the_run_with_one_line_and_lose_nothing(
    tmp_path: Path, executor: str
) -> None:
    calm = new_folder(tmp_path / "calm")
    lives.undisturbed(calm, executor, "heavy")
    folder = new_folder(tmp_path / "limited")
    process = lives.start(folder, executor, graph="heavy", file_size=3_000_000)
    process.join(60)
    assert process.exitcode == 1
    assert "objects" in the_error(folder)
    check_it_completes(folder, calm, executor, folder.finished(), len(folder.executions()))


def check_it_completes(folder: Folder, calm: Folder, executor: str, finished: set[str], before: int) -> None:
    """With room again the run comes to its end, and what was finished are hits."""
    process = lives.start(folder, executor, graph="heavy")
    process.join(60)
    assert process.exitcode == 0
    assert the_result(folder) == the_result(calm)
    later = folder.executions()[before:]
    assert {task for _, task, result in later if result in finished} == set()
    assert len({task for _, task, _ in later}) == len(later)
    runs = Counter(task for _, task, _ in folder.executions())
    assert runs.keys() == {task for _, task, _ in calm.executions()}
