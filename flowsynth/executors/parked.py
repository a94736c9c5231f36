"""Tasks whose lease another process holds: left alone for a while, then looked up again."""

from __future__ import annotations

import heapq
import time

from flowsynth.executors.tasks import Task

#: No wait is shorter, in seconds.
_SHORTEST = 0.001


class Parked:
    """Tasks by when they are due. Not locked: the scheduler does that."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Task]] = []
        self._count = 0

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._heap)

    def add(self, task: Task, delay: float) -> None:
        """Leave a task alone for some seconds."""
        self._count += 1
        heapq.heappush(self._heap, (time.monotonic() + delay, self._count, task))

    def due(self) -> list[Task]:
        """The tasks whose time is up, taken out."""
        now, found = time.monotonic(), []
        while self._heap and self._heap[0][0] <= now:
            found.append(heapq.heappop(self._heap)[2])
        return found

    def wait(self) -> float:
        """Seconds until the next one is due."""
        return max(_SHORTEST, self._heap[0][0] - time.monotonic())
