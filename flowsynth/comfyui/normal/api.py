"""The API's format: a mapping of nodes, where a link is a list of a node's name and an output's number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowsynth.comfyui.flow import Flow, Given, Link, Step
from flowsynth.comfyui.normal.wires import Wires
from flowsynth.core.errors import RequestError


def flow_of_api(data: Mapping[str, Any]) -> Flow:
    """Normalise a prompt of the API.

    Raises:
        RequestError: not what the API takes, or wires in a circle.
    """
    steps, wires = {}, Wires()
    for name, node in data.items():
        inputs = node.get("inputs") or {}
        if not isinstance(inputs, Mapping):
            raise RequestError(f"#{name}: inputs: expected a mapping; given a {type(inputs).__name__}")
        given = {str(port): _given(value) for port, value in inputs.items()}
        if str(node["class_type"]).startswith("Reroute"):
            first = next((value for value in given.values() if isinstance(value, Link)), None)
            wires.carry(str(name), {0: first})
            continue
        meta = node.get("_meta") or {}
        title = str(meta.get("title") or "") if isinstance(meta, Mapping) else ""
        steps[str(name)] = Step(str(name), str(node["class_type"]), title, given)
    return Flow({name: _followed(step, wires) for name, step in steps.items()})


def _given(value: Any) -> Given:
    if isinstance(value, list) and len(value) == 2:
        node, slot = value
        named = isinstance(node, (str, int)) and not isinstance(node, bool)
        if named and isinstance(slot, int) and not isinstance(slot, bool):
            return Link(str(node), slot)
    if isinstance(value, Mapping) and set(value) == {"__value__"}:
        plain: Given = value["__value__"]
        return plain
    return value  # type: ignore[no-any-return]  # JSON


def _followed(step: Step, wires: Wires) -> Step:
    inputs: dict[str, Given] = {}
    for port, value in step.inputs.items():
        source = wires.source(value) if isinstance(value, Link) else value
        if isinstance(value, Link) and not isinstance(source, Link):
            continue
        inputs[port] = source  # type: ignore[assignment]  # a link, or JSON
    return Step(step.id, step.kind, step.title, inputs)
