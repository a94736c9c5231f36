"""The executors: who pulls tasks from the scheduler. Serial in this thread, or a thread for every seat."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from flowsynth.executors.seats import Seat, SeatLostError
from flowsynth.executors.worker import Desk, Worker

#: How long a wait lasts before it looks whether it was interrupted, in seconds.
POLL_SECONDS = 0.2


def run_serial(desk: Desk, lanes: Sequence[str]) -> None:
    """All tasks in the calling thread, lowest position first.

    Raises:
        RuntimeError: tasks are left and none can ever become ready (a fault of the engine, never silent).
    """
    seat = desk.crew.seats(lanes, 1)[0]
    worker, scheduler = Worker(desk, seat._replace(lane="")), desk.scheduler
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
    """A thread for every seat of the crew.

    Raises:
        BaseException: whatever a worker did not handle, after all have stopped.
    """
    failures: list[BaseException] = []
    threads: list[threading.Thread] = []
    scheduler, crew = desk.scheduler, desk.crew

    def begin(seats: Sequence[Seat]) -> None:
        for seat in seats:
            name = f"flowsynth-{seat.lane}-{len(threads)}"
            threads.append(threading.Thread(target=_pull, args=(desk, seat, failures), name=name))
            threads[-1].start()

    try:
        begin(crew.seats(lanes, workers))
        while not scheduler.finished:
            scheduler.wait(POLL_SECONDS)
            begin(crew.more())
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


def _pull(desk: Desk, seat: Seat, failures: list[BaseException]) -> None:
    worker, scheduler = Worker(desk, seat), desk.scheduler
    try:
        while not scheduler.finished:
            task = scheduler.take([seat.lane], seat.place)
            if task is not None:
                worker.execute(task)
                continue
            if scheduler.parked:
                desk.cache.commit()
            scheduler.wait(POLL_SECONDS, seat.lane)
    except SeatLostError:
        return
    except BaseException as error:
        failures.append(error)
        desk.cancelled.set()
        scheduler.stop()
