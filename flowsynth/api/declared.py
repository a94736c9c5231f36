"""What a graph declares beside its nodes: its models, checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowsynth.core.edges import ModelEdge
from flowsynth.core.errors import Fault
from flowsynth.core.graph import CoreGraph


def model_faults(models: Mapping[str, Mapping[str, Any]]) -> list[Fault]:
    """All that is wrong with models, those that no node uses among them."""
    if not models:
        return []
    from flowsynth.models import declaration_faults

    return [fault for name, data in models.items() for fault in declaration_faults(name, data)]


def unused_models(graph: CoreGraph) -> list[str]:
    """A note for every model that no node uses."""
    used = {
        source.model
        for node in graph.nodes.values()
        for sources in node.inputs.values()
        for source in sources
        if isinstance(source, ModelEdge)
    }
    return [
        f"models.{name}: no node uses it; expected inputs: {{model: models.{name}}} in a node"
        for name in graph.models
        if name not in used
    ]
