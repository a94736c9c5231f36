"""What a drawing needs to know of a graph."""

from __future__ import annotations

import json
from dataclasses import dataclass

from flowsynth.core.edges import Edge
from flowsynth.core.graph import CoreGraph
from flowsynth.core.ports import DEFAULT_OUTPUT, ports_of


@dataclass(frozen=True, slots=True)
class Box:
    """A node, or a model, of the drawing.

    Attributes:
        name: the node's name, or ``models.NAME``.
        text: its operator, or the model's family.
        model: whether it is a model.
        wanted: whether the graph's outputs name it.
    """

    name: str
    text: str
    model: bool = False
    wanted: bool = False


@dataclass(frozen=True, slots=True)
class Arrow:
    """An edge of the drawing.

    Attributes:
        source: name of the box it leaves.
        target: name of the box it enters.
        port: the input port it feeds.
        type: name of the type of what flows.
        output: the output port it leaves, empty for the only one.
    """

    source: str
    target: str
    port: str
    type: str
    output: str = ""


@dataclass(frozen=True, slots=True)
class Outline:
    """A graph's boxes and arrows, in the graph's own order."""

    name: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def outline_of(graph: CoreGraph) -> Outline:
    """The boxes and arrows of a graph; models come first."""
    wanted = {edge.node for edge in graph.wanted()}
    boxes = [
        Box(f"models.{n}", str(spec.get("family", "model")), model=True) for n, spec in graph.models.items()
    ]
    arrows = []
    for node in graph.nodes.values():
        boxes.append(Box(node.name, type(node.operator).op, wanted=node.name in wanted))
        for port, sources in node.inputs.items():
            for source in sources:
                if isinstance(source, Edge):
                    outputs = ports_of(type(graph.nodes[source.node].operator)).outputs
                    kind = outputs[source.port].type_name
                    output = "" if source.port == DEFAULT_OUTPUT else source.port
                    arrows.append(Arrow(source.node, node.name, port, kind, output))
                else:
                    arrows.append(Arrow(str(source), node.name, port, "Model"))
    return Outline(graph.name, tuple(boxes), tuple(arrows))


def to_json(outline: Outline) -> str:
    """The drawing as data: ``{name, nodes: [...], edges: [...]}``."""
    nodes = [{"name": b.name, "op": b.text, "model": b.model, "output": b.wanted} for b in outline.boxes]
    edges = [
        {
            "from": a.source,
            "output": a.output or DEFAULT_OUTPUT,
            "to": a.target,
            "input": a.port,
            "type": a.type,
        }
        for a in outline.arrows
    ]
    return json.dumps({"name": outline.name, "nodes": nodes, "edges": edges}, indent=2)
