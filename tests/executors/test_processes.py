"""Several processes on one cache and one graph at once."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from flowsynth.cache.store import Cache
from tests.executors import lives
from tests.executors.lives import Folder, new_folder, the_result
from tests.processes import server

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")


def tasks(folder: Folder) -> Counter[str]:
    return Counter(task for _, task, _ in folder.executions())


def ended(processes: list[ForkServerProcess], seconds: float = 100) -> None:
    deadline = time.monotonic() + seconds
    for process in processes:
        process.join(max(0.1, deadline - time.monotonic()))
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    assert codes == [0] * len(processes)


@pytest.mark.sample(1)
@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_four_processes_compute_each_task_once(tmp_path: Path, executor: str) -> None:
    alone = new_folder(tmp_path / "alone")
    lives.undisturbed(alone, executor)
    for attempt in range(3):  # on a busy machine one may be done before the others' first turn
        folder = new_folder(tmp_path / f"four{attempt}")
        barrier = server().Barrier(4)
        ended([lives.start(folder, executor, barrier=barrier) for _ in range(4)])
        assert len(folder.left("results")) == 4
        assert the_result(folder) == the_result(alone)
        assert tasks(folder) == tasks(alone)
        assert set(tasks(folder).values()) == {1}
        if len({process for process, _, _ in folder.executions()}) > 1:
            return
    raise AssertionError("the work was never shared")


def stopped_in_the_middle(folder: Folder) -> ForkServerProcess:
    """A process that hangs while it holds the lease of what it was computing."""
    process = lives.start(folder, "serial")
    deadline = time.monotonic() + 60
    while len(folder.executions()) < 12 and time.monotonic() < deadline:
        time.sleep(0.002)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    return process


@pytest.mark.sample(1)
@pytest.mark.parametrize("end", [signal.SIGCONT, signal.SIGKILL])
def test_a_hung_process_makes_others_wait_and_never_wrong(tmp_path: Path, end: signal.Signals) -> None:
    alone = new_folder(tmp_path / "alone")
    lives.undisturbed(alone, "serial")
    folder = new_folder(tmp_path / "hung")
    hung = stopped_in_the_middle(folder)
    assert hung.pid is not None
    others = [lives.start(folder, "threads") for _ in range(2)]
    time.sleep(1.5)
    while_hung = tasks(folder)
    os.kill(hung.pid, end)
    ended([*others, *([hung] if end == signal.SIGCONT else [])])
    hung.kill()
    assert the_result(folder) == the_result(alone)
    assert set(while_hung.values()) == {1}
    # What the killed one had computed and not committed is computed again: one task at most.
    assert tasks(folder).keys() == tasks(alone).keys()
    assert tasks(folder).total() - len(tasks(alone)) <= (1 if end == signal.SIGKILL else 0)
    with Cache(folder.cache) as cache:
        assert cache.verify() == []
