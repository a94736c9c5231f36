"""From a graph to a prompt of ComfyUI's API: every node, or all that has no counterpart."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import TopologicalSorter
from typing import Any

from flowsynth.comfyui.exporting.nodes import EXPORTERS
from flowsynth.comfyui.exporting.prompt import Given, NoCounterpartError, Out, Prompt
from flowsynth.core.canonical import Json
from flowsynth.core.errors import GraphError, listing

#: Ports that take the mask of what feeds them, not its picture.
_MASKS = ("mask",)


def export_graph(data: Mapping[str, Any], name: str) -> dict[str, Json]:
    """A graph as a prompt of the API.

    Args:
        data: ``models`` and ``nodes``, composed and checked.
        name: for messages.

    Raises:
        GraphError: all nodes that have no counterpart.
    """
    nodes: Mapping[str, Mapping[str, Any]] = data["nodes"]
    prompt, faults = Prompt(data.get("models") or {}), []
    order: TopologicalSorter[str] = TopologicalSorter(
        {
            name: [each.partition(".")[0] for each in _edges(node) if each.partition(".")[0] in nodes]
            for name, node in nodes.items()
        }
    )
    broken: set[str] = set()
    for each in order.static_order():
        node = nodes[each]
        if any(edge.partition(".")[0] in broken for edge in _edges(node)):
            broken.add(each)
            continue
        try:
            prompt.made[each] = _exported(prompt, each, node)
        except NoCounterpartError as error:
            faults.append(error.fault(each))
            broken.add(each)
    if faults:
        raise GraphError(faults, name)
    return prompt.used(str(made[""][0]) for name, made in prompt.made.items() if name in _results(data))


def _results(data: Mapping[str, Any]) -> set[str]:
    """Nodes that are outputs, or all where none is said to be."""
    return {str(output).partition(".")[0] for output in data.get("outputs") or data["nodes"]}


def _exported(prompt: Prompt, name: str, node: Mapping[str, Any]) -> dict[str, Out]:
    op = str(node.get("op"))
    if op not in EXPORTERS:
        raise NoCounterpartError("op", f"{op} is not exported", listing(EXPORTERS, 30))
    return EXPORTERS[op](prompt, _given(prompt, name, node))


def _given(prompt: Prompt, name: str, node: Mapping[str, Any]) -> Given:
    ports: dict[str, list[Out]] = {}
    sides: dict[str, tuple[Out, Out]] = {}
    model = ""
    for port, edges in (node.get("inputs") or {}).items():
        for edge in [edges] if isinstance(edges, str) else edges:
            source, _, out = edge.partition(".")
            if source == "models":
                model = out
                continue
            made = prompt.made[source]
            wanted = "mask" if port in _MASKS and "mask" in made else out if out in made else ""
            ports.setdefault(port, []).append(made[wanted])
            if "mask" in made:
                ports[f"{port}.mask"] = [made["mask"]]
            if "negative" in made:
                sides[port] = made[""], made["negative"]
    for port in _MASKS:  # a picture that serves as one
        if port in ports and f"{port}.mask" not in ports:
            ports[port] = [prompt.out("ImageToMask", image=ports[port][0], channel="red")]
    plain = {
        port: outs for port, outs in ports.items() if not port.endswith(".mask") or port == "frames.mask"
    }
    return Given(name, node.get("params") or {}, model, plain, sides)


def _edges(node: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for edges in (node.get("inputs") or {}).values():
        found += [edges] if isinstance(edges, str) else edges
    return [edge for edge in found if not edge.startswith("models.")]
