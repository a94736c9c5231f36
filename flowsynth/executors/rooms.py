"""Where threads wait for work: a room for each lane, so that nobody is woken for what others do."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Rooms:
    """Waiting rooms under one lock, which whoever calls anything here holds.

    Args:
        lock: the lock.
    """

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._rooms: dict[str, threading.Condition] = {}
        self._inside: dict[str, int] = {}

    def wait(self, lane: str, timeout: float | None) -> None:
        """Let go of the lock and sleep until woken, or until the time is up.

        Args:
            lane: what is waited for; a name that is no lane's is only woken with all.
            timeout: seconds.
        """
        room = self._rooms.setdefault(lane, threading.Condition(self._lock))
        self._inside[lane] = self._inside.get(lane, 0) + 1
        try:
            room.wait(timeout)
        finally:
            self._inside[lane] -= 1

    def waiting(self, lane: str) -> int:
        """How many wait for a lane's tasks."""
        return self._inside.get(lane, 0)

    def wake(self, ready: Callable[[str], int], own: str) -> None:
        """Wake as many as there are tasks for.

        Args:
            ready: lane -> how many tasks it has.
            own: the caller's lane, who comes for one of them himself.
        """
        for lane, inside in self._inside.items():
            count = ready(lane) - (lane == own) if inside else 0
            if count > 0:
                self._rooms[lane].notify(count)

    def wake_all(self) -> None:
        """Wake everybody."""
        for room in self._rooms.values():
            room.notify_all()
