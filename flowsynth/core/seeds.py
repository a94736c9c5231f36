"""Null seeds: drawn once a run, so that what the run records makes the same result again."""

from __future__ import annotations

import copy
import secrets
from dataclasses import replace
from typing import TypeVar

from flowsynth.core.graph import CoreGraph

AnyGraph = TypeVar("AnyGraph", bound=CoreGraph)


def draw_seeds(graph: AnyGraph) -> tuple[AnyGraph, str]:
    """The graph with a seed of this run's own wherever one is null, the same for all of them.

    Returns:
        The graph itself where no seed is null, else a copy; and what to tell the user of it.
    """
    undrawn = [name for name, node in graph.nodes.items() if vars(node.operator).get("seed", 0) is None]
    if not undrawn:
        return graph, ""
    seed = secrets.randbelow(2**32)
    drawn = copy.copy(graph)
    drawn.nodes = dict(graph.nodes)
    for name in undrawn:
        node = graph.nodes[name]
        drawn.nodes[name] = replace(node, operator=node.operator.model_copy(update={"seed": seed}))
    return drawn, f"seed {seed} was drawn for {', '.join(undrawn)}"
