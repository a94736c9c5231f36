"""What is wrong with a node, given the graph that it is in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from flowsynth.core.edges import Edge, Feed, ModelEdge, Node
from flowsynth.core.errors import Fault, error_text, listing, nearest
from flowsynth.core.operator import Operator
from flowsynth.core.ports import Port, ports_of
from flowsynth.core.sizes import Sizes, Upstream

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(/[A-Za-z_][A-Za-z0-9_-]*)*")
#: What a graph may be called: its runs write into a folder of that name.
GRAPH_NAME = re.compile(r"[^\s./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]{0,99}")
CACHE_POLICIES = ("auto", "always", "never")
DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?|sim:\d+|gpu(_\d+g)?")
#: The same in words.
DEVICES = "auto, cpu, cuda, cuda:N, mps, sim:N, gpu or gpu_24g"


class Holder(Protocol):
    """What has nodes and models: a graph."""

    nodes: dict[str, Node]
    models: dict[str, dict[str, Any]]


def unknown(path: str, what: str, given: str, valid: Mapping[str, object]) -> Fault:
    """A name that stands for nothing.

    Args:
        path: where it is.
        what: it should be.
        given: the name.
        valid: the names that there are.
    """
    return Fault(
        path,
        f"unknown {what}",
        f"one of {listing(valid)}" if valid else "none",
        repr(given),
        nearest(given, valid),
    )


def name_faults(graph: Holder, name: Any) -> list[Fault]:
    """What is wrong with a new node's name."""
    if not isinstance(name, str) or not NAME.fullmatch(name) or name == "models":
        return [Fault(f"nodes.{name}", "bad name", "letters, digits, _ and - (not 'models')", repr(name))]
    if name in graph.nodes:
        return [Fault(f"nodes.{name}", "defined twice", "a new name", repr(name))]
    return []


def node_faults(graph: Holder, node: Node, path: str = "") -> list[Fault]:
    """Everything wrong with a node's ports and placement, given the other nodes.

    Args:
        graph: the graph that the node is in.
        node: the node to check.
        path: where it stands in the YAML, for the faults.
    """
    path = path or f"nodes.{node.name}"
    ports = ports_of(type(node.operator)).inputs
    faults = []
    if node.device != "auto" and not DEVICE.fullmatch(node.device):
        faults.append(Fault(f"{path}.device", "no such device", DEVICES, node.device))
    if node.cache not in CACHE_POLICIES:
        faults.append(Fault(f"{path}.cache", "no such policy", " or ".join(CACHE_POLICIES), node.cache))
    for name, sources in node.inputs.items():
        if name not in ports:
            fault = unknown(f"{path}.inputs.{name}", "port", name, ports)
            hint = (
                " (that is a param: put it under params)" if name in type(node.operator).model_fields else ""
            )
            faults.append(Fault(fault.path, fault.message + hint, fault.expected, fault.given, fault.nearest))
        else:
            faults += _port_faults(graph, f"{path}.inputs.{name}", ports[name], sources)
    faults += [
        Fault(f"{path}.inputs.{name}", "missing input", port.type_name)
        for name, port in ports.items()
        if port.required and name not in node.inputs
    ]
    return faults


def operator_faults(graph: Holder, node: Node, path: str = "") -> list[Fault]:
    """Faults that an operator finds in its params together with what feeds it."""
    operator, at = node.operator, path or f"nodes.{node.name}"
    kind = type(operator)
    found: list[Fault] = []
    try:
        if kind.check is not Operator.check:
            found += operator.check(_feeds(graph, node))
        if kind.size_faults is not Operator.size_faults:
            found += operator.size_faults(Sizes(_upstream(graph, node)))
    except Exception as error:  # somebody else's code
        return [Fault(at, f"{kind.op} cannot be checked: {error_text(error)}")]
    return [Fault(f"{at}.{f.path}", f.message, f.expected, f.given, f.nearest) for f in found]


def _feeds(graph: Holder, node: Node) -> dict[str, Any]:
    feeds: dict[str, Any] = {}
    for port, sources in node.inputs.items():
        items = [
            graph.models[s.model] if isinstance(s, ModelEdge) else graph.nodes[s.node].operator
            for s in sources
        ]
        feeds[port] = items[0] if len(items) == 1 else items
    return feeds


def _upstream(graph: Holder, node: Node) -> Upstream:
    def find(port: str) -> tuple[Operator, Upstream] | None:
        edge = next(iter(node.inputs.get(port, ())), None)
        above = graph.nodes.get(edge.node) if isinstance(edge, Edge) else None
        return None if above is None else (above.operator, _upstream(graph, above))

    return find


def _port_faults(graph: Holder, path: str, port: Port, sources: Sequence[Feed]) -> list[Fault]:
    if not port.many and len(sources) != 1:
        return [Fault(path, "takes one edge", port.type_name, f"{len(sources)} edges")]
    if port.many and port.required and not sources:
        return [Fault(path, "missing input", port.type_name)]
    alone = len(sources) == 1
    return [fault for source in sources if (fault := _source_fault(graph, path, port, source, alone))]


def _source_fault(graph: Holder, path: str, port: Port, source: Feed, alone: bool) -> Fault | None:
    if isinstance(source, ModelEdge):
        if source.model not in graph.models:
            return unknown(path, "model", source.model, graph.models)
        return None if port.is_model else Fault(path, "wrong type", port.type_name, f"the model {source}")
    upstream = graph.nodes.get(source.node)
    if upstream is None:
        return unknown(path, "node", source.node, graph.nodes)
    outputs = ports_of(type(upstream.operator)).outputs
    if source.port not in outputs:
        return unknown(path, f"output of {source.node}", source.port, outputs)
    given = outputs[source.port]
    if port.is_model or not port.fits(given.type, alone=alone):
        expected = "a model, such as models.base" if port.is_model else port.type_name
        return Fault(path, "wrong type", expected, f"{given.type_name} from {source}")
    return None
