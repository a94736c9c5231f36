"""What is known of a run while it goes, and the lines that say it where there is no terminal."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from flowsynth.core.events import NodeOutline, Observer
from flowsynth.core.readable import seconds_text
from flowsynth.core.record import RunRecord
from flowsynth.core.status import NodeStatus, TaskStatus

#: Seconds between two lines about the same long task, without a terminal.
LINE_SECONDS = 10.0


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


class Tracker(Observer):
    """Keeps a row a node; what shows them derives from it. Safe for threads."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.rows: dict[str, Row] = {}
        self.graph = ""
        self.began = time.monotonic()

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


class PlainLines(Tracker):
    """A line for everything that is computed; hits are only counted."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream = stream
        self._said: dict[str, float] = {}

    def run_started(self, graph: str, nodes: Sequence[NodeOutline]) -> None:
        """Say what the plan expects."""
        super().run_started(graph, nodes)
        self._say(started_text(graph, nodes))

    def node_started(self, node: str, device: str) -> None:
        """Say that it began."""
        super().node_started(node, device)
        self._said[node] = time.monotonic()
        self._say(f"  {node}: {self.rows[node].outline.op} on {device}")

    def node_progress(self, node: str, step: int, total: int) -> None:
        """Say the step, now and then."""
        super().node_progress(node, step, total)
        if self._due(node):
            self._say(f"  {node}: step {step} of {total}")

    def task_finished(self, node: str, status: TaskStatus, done: int, total: int | None) -> None:
        """Say how many tasks are over, now and then."""
        super().task_finished(node, status, done, total)
        if status != "hit" and total != done and self._due(node):
            self._say(f"  {node}: {done} of {'?' if total is None else total} chunks")

    def node_finished(self, node: str, status: NodeStatus, seconds: float, error: str = "") -> None:
        """Say what became of it, unless it was a hit."""
        super().node_finished(node, status, seconds, error)
        if status == "computed":
            done = self.rows[node].done
            chunks = f", {done} chunks" if done > 1 else ""
            self._say(f"  {node}: done in {seconds_text(seconds)}{chunks}")
        elif status == "failed":
            self._say(f"  {node}: FAILED: {error}")

    def note(self, node: str, text: str) -> None:
        """Say it."""
        super().note(node, text)
        self._say(f"  {node}: note: {text}" if node else f"  note: {text}")

    def run_finished(self, record: RunRecord) -> None:
        """Say what became of the run."""
        self._say(finished_text(record))

    def _due(self, node: str) -> bool:
        with self.lock:
            now = time.monotonic()
            if now - self._said.get(node, 0.0) < LINE_SECONDS:
                return False
            self._said[node] = now
            return True

    def _say(self, text: str) -> None:
        with self.lock:
            print(text, file=self.stream, flush=True)


def started_text(graph: str, nodes: Sequence[NodeOutline]) -> str:
    """The plan in one line."""
    hits = sum(node.status == "hit" for node in nodes)
    if hits == len(nodes):
        return f"{graph}: all {hits} nodes from the cache"
    return f"{graph}: {len(nodes)} nodes, {hits} from the cache"


def finished_text(record: RunRecord) -> str:
    """The run in one line."""
    counts = dict.fromkeys(("computed", "hit", "failed", "skipped"), 0)
    for node in record.nodes.values():
        counts[node.status] += 1
    words = {"computed": "computed", "hit": "from the cache", "failed": "failed", "skipped": "skipped"}
    parts = [f"{counts[state]} {word}" for state, word in words.items() if counts[state]]
    return f"{record.status} in {seconds_text(record.seconds)}: {', '.join(parts) or 'nothing to do'}"
