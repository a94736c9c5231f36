"""The composed graph as an object, for Python: `flowsynth.compose`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flowsynth.api import Graph
from flowsynth.config.composition import compose_request


def compose(name: str, overrides: Sequence[str] = (), cwd: Path | None = None) -> Graph:
    """The graph of a name, composed as the command line does it.

    Args:
        name: a graph of the current folder's ``graphs/``, or a shipped one.
        overrides: in Hydra's grammar: ``prompt=oil painting``, ``graph.nodes.N.params.P=V``.
        cwd: the folder whose ``graphs/`` and ``conf/`` come before the shipped ones; the current one if None.

    Raises:
        RequestError: everything wrong with the request or the graph.
    """
    composition = compose_request([f"graph={name}", *overrides], cwd)
    graph = Graph.from_dict(composition.graph)
    graph.request = composition.request()
    return graph
