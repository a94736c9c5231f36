"""Tasks that wait for nothing: heaps by lane, and by the models that have to be loaded for them."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

from flowsynth.executors.tasks import State, Task

#: Tasks by position; those of one position in the order in which they came.
Heap: TypeAlias = list[tuple[int, int, Task]]


class ReadyTasks:
    """Ready tasks of all lanes, lowest position first. Not locked: the scheduler does that.

    An entry whose task is no longer ready (it was cut, or taken through another entry) counts as gone.

    Args:
        resident: place, names of models -> whether they are loaded there, so that a task finds them warm.
    """

    def __init__(self, resident: Callable[[str, Sequence[str]], bool]) -> None:
        self._resident = resident
        self._plain: dict[str, Heap] = {}  # by lane
        self._modelled: dict[tuple[str, tuple[str, ...]], Heap] = {}  # by lane and models
        self._count = 0

    def push(self, task: Task) -> None:
        """Add a task."""
        self._count += 1
        models = task.run.step.models
        if models:
            names = tuple(name for group in models.values() for name in group)
            heap = self._modelled.setdefault((task.lane, names), [])
        else:
            heap = self._plain.setdefault(task.lane, [])
        heapq.heappush(heap, (task.position, self._count, task))

    def take(self, lanes: Collection[str] | None, reach: int, place: str = "") -> Task | None:
        """The task of lowest position on some lanes (all unless given), taken out; None if there is none.

        Where its models would have to be loaded, a task within reach goes before it whose models are there.

        Args:
            lanes: whose tasks.
            reach: the last position that may run now.
            place: where it will be carried out; where it is placed unless given.
        """
        heap = self._best(lanes)
        if heap is None or heap[0][0] > reach:
            return None
        if len(self._modelled) > 1:
            heap = self._warm(heap, lanes, reach, place)
        return heapq.heappop(heap)[2]

    def has(self, lanes: Collection[str], reach: int) -> bool:
        """Whether some lanes have a task within reach: see `take`."""
        heap = self._best(lanes)
        return heap is not None and heap[0][0] <= reach

    def count(self, lane: str) -> int:
        """How many tasks a lane has at most."""
        modelled = [heap for (other, _), heap in self._modelled.items() if other == lane]
        return sum(map(len, modelled), len(self._plain.get(lane, ())))

    def _best(self, lanes: Collection[str] | None) -> Heap | None:
        best: Heap | None = None
        for heap in self._heaps(lanes):
            while heap and heap[0][2].state is not State.READY:
                heapq.heappop(heap)
            if heap and (best is None or heap[0][:2] < best[0][:2]):
                best = heap
        return best

    def _heaps(self, lanes: Collection[str] | None) -> list[Heap]:
        if lanes is None:
            return [*self._plain.values(), *self._modelled.values()]
        heaps = [self._plain[lane] for lane in lanes if lane in self._plain]
        if self._modelled:
            heaps += [heap for (lane, _), heap in self._modelled.items() if lane in lanes]
        return heaps

    def _warm(self, best: Heap, lanes: Collection[str] | None, reach: int, place: str) -> Heap:
        """The heap to take from: the best one, unless it needs a load and another, within reach, does not."""
        if not best[0][2].run.step.models or self._is_warm(best[0][2], place):
            return best
        found = [
            heap
            for (lane, _), heap in self._modelled.items()
            if heap and heap is not best and (lanes is None or lane in lanes) and heap[0][0] <= reach
        ]
        return next(
            (heap for heap in sorted(found, key=lambda h: h[0][:2]) if self._is_warm(heap[0][2], place)), best
        )

    def _is_warm(self, task: Task, place: str) -> bool:
        step = task.run.step
        return self._resident(
            place or step.device, [name for names in step.models.values() for name in names]
        )
