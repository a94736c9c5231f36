"""From a composed configuration to plain values, or everything in it that cannot be resolved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flowsynth.config.interpolation import MISSING, Values
from flowsynth.config.resolvers import Path
from flowsynth.core.errors import Fault, GraphError


def resolve(raw: Mapping[str, Any]) -> tuple[dict[str, Any], set[Path]]:
    """The configuration with interpolations replaced, and the places that its graph reads.

    A value still ``???`` is a fault in the graph; elsewhere it is one that this graph has no use for.

    Args:
        raw: plain mappings, lists and scalars, interpolations as texts.

    Raises:
        GraphError: interpolations that lead nowhere, in a circle or too far, and values that must be set.
    """
    values = Values(raw)
    graph = values.get("graph") if "graph" in raw else None
    reads = set(values.reads)
    plain = {key: graph if key == "graph" else values.get(key) for key in raw}
    if values.faults:
        raise GraphError(values.faults, "configuration")
    if missing := list(_missing(graph, "graph")):
        raise GraphError(missing, "configuration")
    return {str(key): _text_keys(value) for key, value in plain.items()}, reads


def _text_keys(value: Any) -> Any:
    """A copy with texts for keys, as JSON has them: ``{0: day, 48: night}`` is a prompt that travels."""
    if isinstance(value, dict):
        return {str(key): _text_keys(part) for key, part in value.items()}
    return [_text_keys(part) for part in value] if isinstance(value, list) else value


def _missing(value: Any, path: str) -> Iterator[Fault]:
    if value == MISSING:
        yield Fault(path, "must be set", f"a value, such as {path}=...", MISSING)
    elif isinstance(value, (dict, list)):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _missing(part, f"{path}.{key}")
