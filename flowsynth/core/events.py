"""What a run tells whoever watches it: the terminal's table, a notebook, a log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
        seconds: what it took when it was last computed, if that is known.
    """

    name: str
    op: str
    status: PlanStatus
    device: str = ""
    tasks: int | None = 1
    seconds: float | None = None


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

    def node_latents(self, node: str, space: str, latents: Callable[[], Any]) -> None:
        """A denoiser has latents so far, T x C x h x w, for whoever asks at once; they change afterwards."""

    def task_finished(self, node: str, status: TaskStatus, done: int, total: int | None) -> None:
        """One task of the node is over; `done` of `total` now are (None: total not known yet)."""

    def node_finished(self, node: str, status: NodeStatus, seconds: float, error: str = "") -> None:
        """All of a node is over; `seconds` is the compute of its tasks, `error` says why it failed."""

    def note(self, node: str, text: str) -> None:
        """Something worth telling the user once (`RunContext.note`)."""

    def run_finished(self, record: RunRecord) -> None:
        """The run is over, well or not."""


class Both(Observer):
    """Two observers as one.

    Args:
        first: hears everything first.
        second: and then this one.
    """

    def __init__(self, first: Observer, second: Observer) -> None:
        self._both = first, second

    def run_started(self, graph: str, nodes: Sequence[NodeOutline]) -> None:
        """Pass it on."""
        for one in self._both:
            one.run_started(graph, nodes)

    def node_started(self, node: str, device: str) -> None:
        """Pass it on."""
        for one in self._both:
            one.node_started(node, device)

    def node_progress(self, node: str, step: int, total: int) -> None:
        """Pass it on."""
        for one in self._both:
            one.node_progress(node, step, total)

    def node_latents(self, node: str, space: str, latents: Callable[[], Any]) -> None:
        """Pass it on."""
        for one in self._both:
            one.node_latents(node, space, latents)

    def task_finished(self, node: str, status: TaskStatus, done: int, total: int | None) -> None:
        """Pass it on."""
        for one in self._both:
            one.task_finished(node, status, done, total)

    def node_finished(self, node: str, status: NodeStatus, seconds: float, error: str = "") -> None:
        """Pass it on."""
        for one in self._both:
            one.node_finished(node, status, seconds, error)

    def note(self, node: str, text: str) -> None:
        """Pass it on."""
        for one in self._both:
            one.note(node, text)

    def run_finished(self, record: RunRecord) -> None:
        """Pass it on."""
        for one in self._both:
            one.run_finished(record)
