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
        self._shared = False  # whether any task may be taken by several lanes

    def push(self, task: Task) -> None:
        """Add a task."""
        self._count += 1
        self._shared = self._shared or bool(task.run.step.others)
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

    def help(self, device: str, reach: int, place: str, waiting: Callable[[str], int]) -> Task | None:
        """A task of another lane that has more of them than workers that wait, if a device may take it.

        Args:
            device: who has nothing to do.
            reach: the last position that may run now.
            place: where it will be carried out.
            waiting: lane -> how many of its workers wait.
        """
        heaps = [heap for heap in self._others(device, waiting) if heap[0][0] <= reach]
        if not heaps:
            return None
        best = min(heaps, key=lambda heap: heap[0][:2])
        return heapq.heappop(self._warm_of(heaps, best, place))[2]

    def has(self, lane: str, reach: int, waiting: Callable[[str], int]) -> bool:
        """Whether a lane has a task within reach, or one to help with: see `take` and `help`."""
        heap = self._best([lane])
        if heap is not None and heap[0][0] <= reach:
            return True
        return any(heap[0][0] <= reach for heap in self._others(lane, waiting))

    def surplus(self, device: str, waiting: Callable[[str], int]) -> int:
        """How many tasks there are for a device to help with, at most."""
        return sum(map(len, self._others(device, waiting)))

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

    def _others(self, device: str, waiting: Callable[[str], int]) -> list[Heap]:
        """The heaps of other lanes whose first task a device may take, where these have too few workers."""
        if not self._shared:
            return []
        found: list[Heap] = []
        for lane, heaps in self._by_lane().items():
            if lane == device or self.count(lane) <= waiting(lane):
                continue
            for heap in heaps:
                while heap and heap[0][2].state is not State.READY:
                    heapq.heappop(heap)
                if heap and device in heap[0][2].run.step.others:
                    found.append(heap)
        return found

    def _by_lane(self) -> dict[str, list[Heap]]:
        found = {lane: [heap] for lane, heap in self._plain.items()}
        for (lane, _), heap in self._modelled.items():
            found.setdefault(lane, []).append(heap)
        return found

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
        return self._warm_of(found, best, place)

    def _warm_of(self, heaps: Sequence[Heap], best: Heap, place: str) -> Heap:
        """The first of some heaps whose task finds its models there; else the best one."""
        if not best[0][2].run.step.models:
            return best
        ordered = sorted(heaps, key=lambda heap: heap[0][:2])
        return next((heap for heap in ordered if self._is_warm(heap[0][2], place)), best)

    def _is_warm(self, task: Task, place: str) -> bool:
        step = task.run.step
        return self._resident(
            place or step.device, [name for names in step.models.values() for name in names]
        )
