"""The editor's format: subgraphs opened, carriers followed, muted nodes gone, widgets named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flowsynth.comfyui.flow import Flow, Given, Link, Step
from flowsynth.comfyui.normal.shapes import UiGraph, UiNode, ui_graph
from flowsynth.comfyui.normal.widgets import named_values
from flowsynth.comfyui.normal.wires import Behind, Constant, Wires
from flowsynth.core.canonical import Json
from flowsynth.core.errors import RequestError

_MUTED, _BYPASSED = (2,), 4
_INSIDE, _OUTSIDE = "-10", "-20"  # the two ends of a subgraph, as its wires name them
_DEEPEST = 20
_NOTES = ("Note", "MarkdownNote")


def flow_of_ui(data: Mapping[str, Any], widgets: Mapping[str, Sequence[str]]) -> Flow:
    """Normalise a file of the editor.

    Args:
        data: its JSON.
        widgets: names of the widgets of known classes, in order.

    Raises:
        RequestError: not what the editor writes, or wires in a circle.
    """
    definitions = data.get("definitions") or {}
    known = {str(each["id"]): ui_graph(each) for each in definitions.get("subgraphs") or []}
    opened = _Opened(known, widgets)
    opened.enter(ui_graph(data), "", 0)
    return Flow(opened.steps(), tuple(opened.notes))


@dataclass
class _Opened:
    """All nodes of a workflow and of its subgraphs, side by side."""

    subgraphs: Mapping[str, UiGraph]
    known: Mapping[str, Sequence[str]]
    wires: Wires = field(default_factory=Wires)
    values: dict[str, dict[str, Json]] = field(default_factory=dict)
    ports: dict[str, dict[str, Link]] = field(default_factory=dict)
    nodes: dict[str, UiNode] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def enter(self, graph: UiGraph, prefix: str, depth: int) -> None:
        """Take in the nodes of a graph, those of its subgraphs too."""
        if depth > _DEEPEST:
            raise RequestError(f"subgraphs lie more than {_DEEPEST} deep in each other; expected fewer")
        setters = _setters(graph, prefix)
        for node in graph.nodes:
            name = prefix + node.id
            ports = _ports(graph, node, prefix)
            self._take(node, name, ports, setters, depth)

    def _take(
        self, node: UiNode, name: str, ports: dict[int, Link], setters: Mapping[str, Behind], depth: int
    ) -> None:
        carried = _carried(node, ports, setters)
        if node.kind in _NOTES:
            text = node.widgets[0] if isinstance(node.widgets, Sequence) and node.widgets else ""
            self.notes.append(str(text))
        elif carried is not None:
            self.wires.carry(name, carried)
        elif node.kind in self.subgraphs:
            self._open(node, name, ports, depth)
        else:
            listed = [each.name for each in node.inputs if each.widget]
            self.nodes[name] = node
            self.values.setdefault(name, {})
            own = named_values(node.widgets, listed, self.known.get(node.kind, ()))
            self.values[name] = {**own, **self.values[name]}
            self.ports[name] = {node.inputs[k].name: link for k, link in ports.items()}

    def _open(self, node: UiNode, name: str, ports: dict[int, Link], depth: int) -> None:
        """Put a subgraph in the place of the node that stands for it."""
        inner = self.subgraphs[node.kind]
        prefix = f"{name}:"
        named = {node.inputs[k].name: link for k, link in ports.items()}
        proxies = node.properties.get("proxyWidgets") or []
        values = node.widgets if isinstance(node.widgets, list) else []
        held: dict[str, Json] = {}
        for (inside, widget, *_), value in zip(proxies, values, strict=False):
            if str(inside) == "-1":
                held[str(widget)] = value
            else:
                self.values.setdefault(prefix + str(inside), {})[str(widget)] = value
        if not proxies:
            held = dict(zip([each.name for each in node.inputs if each.widget], values, strict=False))
        entry = prefix + _INSIDE
        for slot, port in enumerate(inner.inputs):
            constant = Constant(held[port]) if port in held else None
            self.wires.behind[Link(entry, slot)] = named.get(port, constant)
        for wire in inner.wires.values():
            if wire.target == _OUTSIDE:
                self.wires.behind[Link(name, wire.port)] = Link(prefix + wire.origin, wire.slot)
        self.enter(inner, prefix, depth + 1)

    def steps(self) -> dict[str, Step]:
        """What runs, with wires followed to their ends."""
        return {
            name: Step(name, node.kind, node.title, self._inputs(name)) for name, node in self.nodes.items()
        }

    def _inputs(self, name: str) -> dict[str, Given]:
        found: dict[str, Given] = dict(self.values[name])
        for port, link in self.ports[name].items():
            source = self.wires.source(link)
            if isinstance(source, Constant):
                found[port] = source.value
            elif source is not None and source.node in self.nodes:
                found[port] = source
        return found


def _ports(graph: UiGraph, node: UiNode, prefix: str) -> dict[int, Link]:
    """What is wired to a node's inputs, by their number."""
    found = {}
    for k, socket in enumerate(node.inputs):
        wire = None if socket.link is None else graph.wires.get(socket.link)
        if wire is not None:
            found[k] = Link(prefix + wire.origin, wire.slot)
    return found


def _setters(graph: UiGraph, prefix: str) -> dict[str, Behind]:
    """What is behind each name that a Set node gives."""
    found: dict[str, Behind] = {}
    for node in graph.nodes:
        if node.kind == "SetNode" and node.mode not in _MUTED:
            links = _ports(graph, node, prefix)
            found[_first(node)] = next(iter(links.values()), None)
    return found


def _first(node: UiNode) -> str:
    values = node.widgets.values() if isinstance(node.widgets, Mapping) else node.widgets
    return str(next(iter(values), ""))


def _carried(node: UiNode, ports: dict[int, Link], setters: Mapping[str, Behind]) -> dict[int, Behind] | None:
    """What a node's outputs stand for, where it does no more than carry; None where it works."""
    outputs = range(max(len(node.outputs), 1))
    if node.mode in _MUTED:
        return dict.fromkeys(outputs)
    first = next(iter(ports.values()), None)
    if node.kind.startswith("Reroute") or node.kind == "SetNode":
        return dict.fromkeys(outputs, first)
    if node.kind == "GetNode":
        return dict.fromkeys(outputs, setters.get(_first(node)))
    if node.kind == "PrimitiveNode":
        values = list(node.widgets.values() if isinstance(node.widgets, Mapping) else node.widgets)
        return dict.fromkeys(outputs, Constant(values[0]) if values else None)
    if node.mode == _BYPASSED:
        return {slot: _bypass(node, ports, slot) for slot in outputs}
    return None


def _bypass(node: UiNode, ports: dict[int, Link], slot: int) -> Behind:
    """The input that a bypassed node hands on: of the output's type, the one at its place first."""
    kind = node.outputs[slot] if slot < len(node.outputs) else "*"
    fitting = [k for k, socket in enumerate(node.inputs) if socket.type in (kind, "*") or kind == "*"]
    chosen = slot if slot in fitting else next(iter(fitting), None)
    return None if chosen is None else ports.get(chosen)
