"""From a composed configuration to plain values, or everything in it that cannot be resolved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flowsynth.config.interpolation import MISSING, Values
from flowsynth.config.resolvers import Path
from flowsynth.core.errors import Fault, GraphError


def resolved(values: Values) -> tuple[dict[str, Any], set[Path]]:
    """The configuration with interpolations replaced, and the places that its graph reads.

    A value still ``???`` is a fault in the graph; elsewhere it is one that this graph has no use for.

    Args:
        values: plain mappings, lists and scalars, interpolations as texts; worked out here.

    Raises:
        GraphError: interpolations that lead nowhere, in a circle or too far, and values that must be set.
    """
    raw = values.raw
    graph = values.get("graph") if "graph" in raw else None
    reads = set(values.reads)
    plain = {key: graph if key == "graph" else values.get(key) for key in raw}
    if values.faults:
        raise GraphError(values.faults, "configuration")
    if missing := list(missing_faults(graph, "graph")):
        raise GraphError(missing, "configuration")
    return {str(key): text_keys(value) for key, value in plain.items()}, reads


def text_keys(value: Any) -> Any:
    """A copy with texts for keys, as JSON has them: ``{0: day, 48: night}`` is a prompt that travels."""
    if isinstance(value, dict):
        return {str(key): text_keys(part) for key, part in value.items()}
    return [text_keys(part) for part in value] if isinstance(value, list) else value


def missing_faults(value: Any, path: str) -> Iterator[Fault]:
    """Values that are still to be set."""
    if value == MISSING:
        yield Fault(path, "must be set", f"a value, such as {path}=...", MISSING)
    elif isinstance(value, (dict, list)):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from missing_faults(part, f"{path}.{key}")
