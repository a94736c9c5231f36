"""What is known of a run while it goes: a row a node, for whoever shows it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from flowsynth.core.events import NodeOutline, Observer
from flowsynth.core.status import NodeStatus, TaskStatus


@dataclass(slots=True)
class Row:
    """What is known of a node while the run goes.

    Attributes:
        outline: what the plan said.
        state: waiting, running, or what became of it.
        device: where it runs.
        done: tasks that are over.
        total: tasks in all, None while that is not known.
        step: steps of the task under way.
        steps: steps that it has in all, 0 if it does not say.
        seconds: compute so far, known when it is over.
        since: when it began.
        text: its error, or the last thing it said.
    """

    outline: NodeOutline
    state: str = "waiting"
    device: str = ""
    done: int = 0
    total: int | None = None
    step: int = 0
    steps: int = 0
    seconds: float = 0.0
    since: float = 0.0
    text: str = ""

    @property
    def share(self) -> float:
        """How much of it is done, of 1, as far as it says."""
        part = self.step / self.steps if self.steps else 0.0
        return min((self.done + part) / self.total, 1.0) if self.total else 0.0

    def left(self, now: float) -> float | None:
        """About how many seconds of it are left; None if nobody knows."""
        if self.state not in ("waiting", "running"):
            return 0.0
        if self.outline.seconds is not None:
            return self.outline.seconds * (1 - self.share)
        if self.state == "running" and self.share > 0:
            return (now - self.since) * (1 - self.share) / self.share
        return None


class Tracker(Observer):
    """Keeps a row a node; what shows them derives from it. Safe for threads."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.rows: dict[str, Row] = {}
        self.graph = ""
        self.began = time.monotonic()

    def saved(self) -> float:
        """Seconds that hits took when they were computed."""
        with self.lock:
            return sum(row.outline.seconds or 0.0 for row in self.rows.values() if row.state == "hit")

    def left(self) -> float | None:
        """About how many seconds are left, by what nodes took before or how far they are; None: no idea."""
        with self.lock:
            parts = [row.left(time.monotonic()) for row in self.rows.values()]
        return None if any(part is None for part in parts) else sum(part or 0.0 for part in parts)

    def run_started(self, graph: str, nodes: Sequence[NodeOutline]) -> None:
        """Make the rows."""
        with self.lock:
            self.graph, self.began = graph, time.monotonic()
            self.rows = {node.name: Row(node, device=node.device, total=node.tasks) for node in nodes}

    def node_started(self, node: str, device: str) -> None:
        """Note when and where it began."""
        with self.lock:
            row = self.rows[node]
            row.state, row.device, row.since = "running", device, time.monotonic()

    def node_progress(self, node: str, step: int, total: int) -> None:
        """Note the step."""
        with self.lock:
            self.rows[node].step, self.rows[node].steps = step, total

    def task_finished(self, node: str, status: TaskStatus, done: int, total: int | None) -> None:
        """Note how many tasks are over, however they ended."""
        del status
        with self.lock:
            row = self.rows[node]
            row.done, row.total, row.step, row.steps = done, total, 0, 0

    def node_finished(self, node: str, status: NodeStatus, seconds: float, error: str = "") -> None:
        """Note what became of it."""
        with self.lock:
            row = self.rows[node]
            row.state, row.seconds, row.text = status, seconds, error or row.text

    def note(self, node: str, text: str) -> None:
        """Note what it said last."""
        with self.lock:
            if node in self.rows:
                self.rows[node].text = text

    def close(self) -> None:
        """Leave the terminal as it was found."""
