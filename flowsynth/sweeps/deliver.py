"""Writes each job's files as soon as all of its nodes are over, beside the workers."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue
from typing import Any

from flowsynth.core.events import NodeOutline, Observer
from flowsynth.core.record import RunRecord
from flowsynth.core.status import NodeStatus, TaskStatus


class Deliverer(Observer):
    """Counts the nodes that each job waits for; what is complete goes to a thread of its own.

    Reading results and writing files so takes no device's time.

    Args:
        names: for each job, the names in the merged graph of the nodes that it needs.
        deliver: writes a job, by its place in the list; what it raises is raised at the end of the block.
        shown: hears everything too.
    """

    def __init__(
        self, names: Sequence[Mapping[str, str]], deliver: Callable[[int], None], shown: Observer
    ) -> None:
        self._deliver, self._shown = deliver, shown
        self._waits: dict[str, list[int]] = {}
        for index, of_job in enumerate(names):
            for name in set(of_job.values()):
                self._waits.setdefault(name, []).append(index)
        self._left = Counter(index for waiting in self._waits.values() for index in waiting)
        self._lock = threading.Lock()
        self._queue: SimpleQueue[int | None] = SimpleQueue()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="flowsynth-deliver")

    def __enter__(self) -> Deliverer:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        """Write what is complete, then end."""
        self._queue.put(None)
        self._thread.join()
        if self._error is not None and kind is None:
            raise self._error

    def _work(self) -> None:
        while (index := self._queue.get()) is not None:
            self._one(index)

    def _one(self, index: int) -> None:
        try:
            self._deliver(index)
        except BaseException as error:  # raised where the run is waited for
            self._error = self._error or error

    def run_started(self, graph: str, nodes: Sequence[NodeOutline]) -> None:
        """Pass it on."""
        self._shown.run_started(graph, nodes)

    def node_started(self, node: str, device: str) -> None:
        """Pass it on."""
        self._shown.node_started(node, device)

    def node_progress(self, node: str, step: int, total: int) -> None:
        """Pass it on."""
        self._shown.node_progress(node, step, total)

    def node_latents(self, node: str, space: str, latents: Callable[[], Any]) -> None:
        """Pass it on."""
        self._shown.node_latents(node, space, latents)

    def task_finished(self, node: str, status: TaskStatus, done: int, total: int | None) -> None:
        """Pass it on."""
        self._shown.task_finished(node, status, done, total)

    def note(self, node: str, text: str) -> None:
        """Pass it on."""
        self._shown.note(node, text)

    def node_finished(self, node: str, status: NodeStatus, seconds: float, error: str = "") -> None:
        """Deliver the jobs that waited for nothing else."""
        self._shown.node_finished(node, status, seconds, error)
        with self._lock:
            for index in self._waits.pop(node, ()):
                self._left[index] -= 1
                if not self._left[index]:
                    self._queue.put(index)

    def run_finished(self, record: RunRecord) -> None:
        """A merged run has no record of its own."""
