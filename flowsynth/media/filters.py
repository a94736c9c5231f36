"""Graphs of FFmpeg's filters, one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def chained(graph: Any, source: Any, filters: Iterable[tuple[str, str]], sink: str) -> Any:
    """Link filters behind a source, and a sink behind them; the graph, ready to be pushed to.

    Args:
        graph: an `av.filter.Graph` that holds the source.
        source: what frames are pushed to.
        filters: names and options, in order.
        sink: ``buffersink`` or ``abuffersink``.
    """
    last = source
    for name, options in filters:
        following = graph.add(name, options)
        last.link_to(following)
        last = following
    last.link_to(graph.add(sink))
    graph.configure()
    return graph
