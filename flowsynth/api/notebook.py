"""The progress of a run in a notebook: bars that fill in place, where a kernel shows them."""

from __future__ import annotations

import html
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowsynth.core.events import NodeOutline, Observer
from flowsynth.core.secrets import hidden_text
from flowsynth.core.status import NodeStatus, TaskStatus

if TYPE_CHECKING:
    from flowsynth.core.record import RunRecord

#: Seconds between two drawings, and rows of one.
_PAUSE, _ROWS = 0.25, 20


def usual_observer() -> Observer:
    """Who hears of a run that nobody was named for: the notebook that it is called in, else nobody."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return NotebookProgress() if getattr(shell, "kernel", None) is not None else Observer()


@dataclass(slots=True)
class _Row:
    """A node that is not a hit: tasks that are over of how many, steps of the one under way, and its end."""

    op: str
    done: int = 0
    total: int | None = None
    step: int = 0
    steps: int = 0
    state: str = "waiting"


class NotebookProgress(Observer):
    """Draws the nodes that compute, in one place under the cell; a run of nothing but hits draws nothing."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._rows: dict[str, _Row] = {}
        self._notes: list[str] = []
        self._handle: Any = None
        self._drawn = 0.0

    def run_started(self, graph: str, nodes: Sequence[NodeOutline]) -> None:
        """Open the drawing, if anything will run."""
        del graph
        with self._lock:
            self._rows = {n.name: _Row(n.op, total=n.tasks) for n in nodes if n.status != "hit"}
            if self._rows:
                from IPython.display import HTML, display

                self._handle = display(HTML(self._html()), display_id=True)

    def node_started(self, node: str, device: str) -> None:
        """It runs."""
        del device
        self._set(node, state="running")

    def node_progress(self, node: str, step: int, total: int) -> None:
        """How far the task under way is."""
        self._set(node, step=step, steps=total)

    def task_finished(self, node: str, status: TaskStatus, done: int, total: int | None) -> None:
        """A task is over."""
        del status
        self._set(node, done=done, total=total, step=0, steps=0)

    def node_finished(self, node: str, status: NodeStatus, seconds: float, error: str = "") -> None:
        """It is over."""
        self._set(node, state=f"{status} in {seconds:.1f} s" if not error else f"{status}: {error}")

    def note(self, node: str, text: str) -> None:
        """Shown below the bars."""
        with self._lock:
            self._notes.append(f"{node}: {text}" if node else text)
            self._draw()

    def run_finished(self, record: RunRecord) -> None:
        """Leave a line in place of the bars, and what failed."""
        if self._handle is None:
            return
        lines = [f"{record.graph.get('name', '')}: {record.status} in {record.seconds:.1f} s", *record.errors]
        with self._lock:
            self._show("".join(f"<div>{_text(line)}</div>" for line in [*lines, *self._notes]))

    def _set(self, node: str, **changed: Any) -> None:
        with self._lock:
            if node in self._rows:
                for name, value in changed.items():
                    setattr(self._rows[node], name, value)
                self._draw()

    def _draw(self) -> None:
        if self._handle is not None and time.monotonic() - self._drawn >= _PAUSE:
            self._drawn = time.monotonic()
            self._show(self._html())

    def _show(self, page: str) -> None:
        from IPython.display import HTML

        self._handle.update(HTML(page))

    def _html(self) -> str:
        """Those that run first, then those that wait."""
        order = sorted(
            self._rows.items(), key=lambda item: (item[1].state != "running", item[1].state != "waiting")
        )
        rows = "".join(_row(name, row) for name, row in order[:_ROWS])
        more = f"<div>and {len(order) - _ROWS} more</div>" if len(order) > _ROWS else ""
        notes = "".join(f"<div>{_text(note)}</div>" for note in self._notes[-5:])
        return f"<table>{rows}</table>{more}{notes}"


def _row(name: str, row: _Row) -> str:
    total = row.total or 1
    share = min((row.done + (row.step / row.steps if row.steps else 0)) / total, 1)
    value = "" if row.state == "running" and not share else f' value="{share:.3f}"'
    cells = (_text(name), _text(row.op), f'<progress max="1"{value}></progress>', _text(row.state))
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _text(text: str) -> str:
    return html.escape(hidden_text(text))
