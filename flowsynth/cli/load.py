"""From overrides to a checked graph, as most commands need it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flowsynth.core.graph import Graph
from flowsynth.core.spec import build

if TYPE_CHECKING:
    from flowsynth.config import Composition


def load(overrides: Sequence[str]) -> tuple[Graph, Composition]:
    """The checked graph that overrides ask for, and everything else they say.

    Raises:
        RequestError: everything wrong with the request.
    """
    from flowsynth.config import compose

    composition = compose(overrides)
    return graph_from(composition.graph), composition


def graph_from(data: Any) -> Graph:
    """A checked graph from plain values.

    Raises:
        GraphError: everything wrong with it.
    """
    graph = Graph()
    build(graph, data)
    return graph
