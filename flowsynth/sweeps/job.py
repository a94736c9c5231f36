"""A job of a sweep: what was asked for, and the graph that it came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from flowsynth.api import Graph
from flowsynth.config import Doors, Settings
from flowsynth.core.edges import Edge
from flowsynth.core.errors import FlowsynthError
from flowsynth.core.graph import Name


@dataclass(slots=True)
class Job:
    """One job.

    Attributes:
        number: its place in the sweep, and the name of its folder unless another was said.
        overrides: what it was asked for, as typed.
        graph: what that came to; None where it could not be composed.
        settings: what the run is told besides.
        error: why it cannot be run.
        notes: what the user should know of it.
        subdir: its folder below that of the sweep, if it was said.
        doors: how its files have a sweep made up and run; None where it could not be composed.
    """

    number: int
    overrides: Sequence[str]
    graph: Graph | None = None
    settings: Settings | None = None
    error: FlowsynthError | None = None
    notes: list[str] = field(default_factory=list)
    subdir: str | None = None
    doors: Doors | None = None

    @property
    def folder(self) -> str:
        """Where its files go, below the sweep's folder."""
        return str(self.number) if self.subdir is None else str(PurePath(self.subdir))

    def asked(self) -> tuple[Graph, Settings]:
        """What is to be run.

        Raises:
            FlowsynthError: why it cannot be.
        """
        if self.error is not None:
            raise self.error
        if self.graph is None or self.settings is None:
            raise TypeError(f"job {self.number} was never composed")
        return self.graph, self.settings

    def wanted(self, outputs: Sequence[Name] | None) -> list[Edge]:
        """The edges that it must deliver.

        Raises:
            GraphError: an output that its graph does not have.
        """
        return self.asked()[0].wanted(outputs)
