"""The lines that tell of a run while it goes where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TextIO

from flowsynth.core.events import NodeOutline
from flowsynth.core.readable import seconds_text
from flowsynth.core.record import RunRecord
from flowsynth.core.status import NodeStatus, TaskStatus
from flowsynth.core.tracking import Tracker

#: Seconds between two lines about the same long task, without a terminal.
LINE_SECONDS = 10.0


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
    hits = [node for node in nodes if node.status == "hit"]
    saved = saved_text(sum(node.seconds or 0.0 for node in hits))
    if len(hits) == len(nodes):
        return f"{graph}: all {len(hits)} nodes from the cache{saved}"
    return f"{graph}: {len(nodes)} nodes, {len(hits)} from the cache{saved}"


def saved_text(seconds: float) -> str:
    """What hits saved, where that is worth a word."""
    return f" (saved {seconds_text(seconds)})" if seconds >= 0.05 else ""


def finished_text(record: RunRecord) -> str:
    """The run in one line."""
    counts = dict.fromkeys(("computed", "hit", "failed", "skipped"), 0)
    for node in record.nodes.values():
        counts[node.status] += 1
    words = {"computed": "computed", "hit": "from the cache", "failed": "failed", "skipped": "skipped"}
    parts = [f"{counts[state]} {word}" for state, word in words.items() if counts[state]]
    told = ", ".join(parts) or "nothing to do"
    return f"{record.status} in {seconds_text(record.seconds)}: {told}{saved_text(record.saved)}"
