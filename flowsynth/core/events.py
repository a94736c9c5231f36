"""What a run tells whoever watches it: the terminal's table, a notebook, a log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowsynth.core.status import NodeStatus, PlanStatus, TaskStatus

if TYPE_CHECKING:
    from flowsynth.core.record import RunRecord


@dataclass(frozen=True, slots=True)
class NodeOutline:
    """One line of a run's table, before anything has run.

    Attributes:
        name: the node.
        op: its operator.
        status: what the plan expects.
        device: where it is placed, or an empty string if that is not settled.
        tasks: how many tasks it has, or None where its sources are not probed yet.
    """

    name: str
    op: str
    status: PlanStatus
    device: str = ""
    tasks: int | None = 1


class Observer:
    """Hears what happens in a run and says nothing: the default, and the base of those that want some of it.

    Called from any thread, so an observer must be quick and lock for itself. An error raised here is a bug of
    the observer; the engine is free to let it end the run.
    """

    def run_started(self, graph: str, nodes: Sequence[NodeOutline]) -> None:
        """The plan is made; nodes come in the order they will be shown."""

    def node_started(self, node: str, device: str) -> None:
        """The first task of a node that is not a hit begins."""

    def node_progress(self, node: str, step: int, total: int) -> None:
        """A long task of the node says how far it is (`RunContext.progress`)."""

    def task_finished(self, node: str, status: TaskStatus, done: int, total: int | None) -> None:
        """One task of the node is over; `done` of `total` now are (None: total not known yet)."""

    def node_finished(self, node: str, status: NodeStatus, seconds: float, error: str = "") -> None:
        """All of a node is over; `seconds` is the compute of its tasks, `error` says why it failed."""

    def note(self, node: str, text: str) -> None:
        """Something worth telling the user once (`RunContext.note`)."""

    def run_finished(self, record: RunRecord) -> None:
        """The run is over, well or not."""
