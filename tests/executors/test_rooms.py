"""Who is woken when a task is over: as many as there are tasks for, and everybody at the end."""

from __future__ import annotations

import threading
import time

import pytest

from flowsynth.executors.rooms import Rooms


class Sleepers:
    """Threads that wait in rooms, and how many came out."""

    def __init__(self, **lanes: int) -> None:
        self.lock = threading.RLock()
        self.rooms = Rooms(self.lock)
        self.woken: list[str] = []
        self.threads = [
            threading.Thread(target=self._sleep, args=(lane,)) for lane in lanes for _ in range(lanes[lane])
        ]
        for thread in self.threads:
            thread.start()
        while sum(self.rooms._inside.values()) < len(self.threads):
            time.sleep(0.001)

    def _sleep(self, lane: str) -> None:
        with self.lock:
            self.rooms.wait(lane, 30.0)
            self.woken.append(lane)

    def after(self, count: int) -> list[str]:
        """Who is awake once `count` are, and nobody else has come for a moment."""
        end = time.monotonic() + 10
        while len(self.woken) < count and time.monotonic() < end:
            time.sleep(0.001)
        time.sleep(0.05)
        return sorted(self.woken)


@pytest.mark.parametrize(("own", "woken"), [("", ["cpu", "cpu"]), ("cpu", ["cpu"]), ("io", ["cpu", "cpu"])])
def test_a_worker_comes_for_one_task_of_its_lane_itself(own: str, woken: list[str]) -> None:
    sleepers = Sleepers(cpu=3, io=1, **{"": 1})
    with sleepers.lock:
        sleepers.rooms.wake(lambda lane: {"cpu": 2}.get(lane, 0), own)
    assert sleepers.after(len(woken)) == woken
    with sleepers.lock:
        sleepers.rooms.wake_all()
    assert sleepers.after(5) == ["", "cpu", "cpu", "cpu", "io"]
    for thread in sleepers.threads:
        thread.join()
