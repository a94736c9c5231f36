"""Runs that are killed: what was finished stays finished, and nothing half-made is ever read.

"Finished" means: the row of a task is committed to the cache's index. What a process was doing when it died
is done again; that is at most one task a worker, since compute of a millisecond is committed at once.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import pytest

from flowsynth.cache.store import Cache
from tests.executors import lives
from tests.executors.lives import Folder, new_folder, the_result

pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGKILL")


def check_the_folder(folder: Folder) -> None:
    """A dead process left no damaged object and, after the next open, no partial file."""
    with Cache(folder.cache) as cache:
        assert cache.verify() == []
        assert cache.traces.notice is None
    assert list((folder.cache / "tmp").iterdir()) == []


def kill_once(folder: Folder, executor: str, seconds: float) -> bool:
    """Let a process live so long; whether it had to be killed."""
    finished = folder.finished()
    before = len(folder.executions())
    process = lives.start(folder, executor)
    process.join(seconds)
    killed = process.is_alive()
    process.kill()
    process.join()
    assert killed or process.exitcode == 0
    again = {task for _, task, result in folder.executions()[before:] if result in finished}
    assert again == set(), "these had finished before this process began"
    check_the_folder(folder)
    return killed


@pytest.mark.parametrize(
    ("executor", "kills"),
    [
        ("serial", 3),
        ("threads", 2),
        pytest.param("serial", 20, marks=pytest.mark.slow),
        pytest.param("threads", 20, marks=pytest.mark.slow),
    ],
)
def test_killed_at_random_moments_nothing_finished_runs_again(
    tmp_path: Path, executor: str, kills: int
) -> None:
    calm = new_folder(tmp_path / "calm")
    lives.undisturbed(calm, executor)  # starts the server too
    calm_again = new_folder(tmp_path / "again")
    seconds = lives.undisturbed(calm_again, executor)
    once = Counter(task for _, task, _ in calm.executions())
    assert set(once.values()) == {1}
    assert len({result for _, _, result in calm.executions()}) == len(once), "results tell tasks apart"
    assert the_result(calm_again) == the_result(calm)
    rng = random.Random(kills)
    done, rounds = 0, 0
    while done < kills:
        folder, killed = new_folder(tmp_path / f"round{rounds}"), 0
        while done < kills and kill_once(folder, executor, rng.uniform(0, 0.6 * seconds)):
            done, killed = done + 1, killed + 1
        kill_once(folder, executor, 60)
        rounds += 1
        assert the_result(folder) == the_result(calm)
        runs = Counter(task for _, task, _ in folder.executions())
        assert runs.keys() == once.keys()
        workers = 1 if executor == "serial" else 3
        assert runs.total() - len(once) <= killed * workers
