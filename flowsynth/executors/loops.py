"""The executors: who pulls tasks from the scheduler. Serial in this thread, or a worker for every lane."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence

from flowsynth.executors.expand import IO_LANE
from flowsynth.executors.worker import Desk, Worker

#: An executor: (desk, lanes, CPU workers) -> runs everything that the desk's scheduler hands out.
Executor = Callable[[Desk, Sequence[str], "int | None"], None]

#: How long a wait lasts before it looks whether it was interrupted, in seconds.
POLL_SECONDS = 0.2


def run_serial(desk: Desk, lanes: Sequence[str], workers: int | None) -> None:
    """All tasks in the calling thread, lowest position first.

    Raises:
        RuntimeError: tasks are left and none can ever become ready (a fault of the engine, never silent).
    """
    del lanes, workers
    worker, scheduler = Worker(desk), desk.scheduler
    while not scheduler.finished:
        task = scheduler.take()
        if task is not None:
            worker.execute(task)
            continue
        if not scheduler.parked and not scheduler.finished:
            raise RuntimeError("the scheduler has tasks left and none is ready")
        desk.cache.commit()  # others may wait for what this process has finished
        scheduler.wait(POLL_SECONDS)


def run_threads(desk: Desk, lanes: Sequence[str], workers: int | None) -> None:
    """A worker thread for every device, and one for reading files; more than one for the CPU if it has cores.

    Raises:
        BaseException: whatever a worker did not handle, after all have stopped.
    """
    failures: list[BaseException] = []
    scheduler = desk.scheduler
    count = workers or max(1, (os.cpu_count() or 1) // 4)  # torch uses several cores itself
    wanted = [lane for lane in lanes for _ in range(count if lane == "cpu" else 1)]
    threads = [
        threading.Thread(target=_pull, args=(desk, lane, failures), name=f"flowsynth-{lane}-{i}")
        for i, lane in enumerate([*wanted, IO_LANE])
    ]
    for thread in threads:
        thread.start()
    try:
        while not scheduler.finished:
            scheduler.wait(POLL_SECONDS)
    except BaseException:
        desk.cancelled.set()
        raise
    finally:
        if failures or desk.cancelled.is_set():
            scheduler.stop()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


def _pull(desk: Desk, lane: str, failures: list[BaseException]) -> None:
    worker, scheduler = Worker(desk), desk.scheduler
    try:
        while not scheduler.finished:
            task = scheduler.take([lane])
            if task is not None:
                worker.execute(task)
                continue
            if scheduler.parked:
                desk.cache.commit()
            scheduler.wait(POLL_SECONDS, lane)
    except BaseException as error:
        failures.append(error)
        desk.cancelled.set()
        scheduler.stop()


EXECUTORS: Mapping[str, Executor] = {"serial": run_serial, "threads": run_threads}
