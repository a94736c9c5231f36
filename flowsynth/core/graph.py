"""The graph: named nodes of operators, joined by typed edges. Built in Python, or from a spec."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from flowsynth.core.errors import Fault, GraphError, did_you_mean, error_text, listing, nearest
from flowsynth.core.operator import Operator
from flowsynth.core.ports import DEFAULT_OUTPUT, Port, ports_of
from flowsynth.core.record import Request
from flowsynth.core.sizes import Sizes, Upstream

if TYPE_CHECKING:
    import networkx

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(/[A-Za-z_][A-Za-z0-9_-]*)*")
#: What a graph may be called: its runs write into a folder of that name.
GRAPH_NAME = re.compile(r"[^\s./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]{0,99}")
CACHE_POLICIES = ("auto", "always", "never")
DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?|sim:\d+|gpu(_\d+g)?")
#: The same in words.
DEVICES = "auto, cpu, cuda, cuda:N, mps, sim:N, gpu or gpu_24g"


class Edge(NamedTuple):
    """Where a port is fed from.

    Attributes:
        node: name of the upstream node.
        port: its output port.
    """

    node: str
    port: str = DEFAULT_OUTPUT

    def __str__(self) -> str:
        """The form in YAML: ``node`` or ``node.port``."""
        return self.node if self.port == DEFAULT_OUTPUT else f"{self.node}.{self.port}"


class ModelEdge(NamedTuple):
    """A port fed by an entry of the graph's models."""

    model: str

    def __str__(self) -> str:
        """The form in YAML: ``models.name``."""
        return f"models.{self.model}"


class Handle:
    """A node, or one of its output ports, as something to connect: ``g.add(..., frames=handle)``."""

    __slots__ = ("_edge", "_graph")

    def __init__(self, graph: CoreGraph, edge: Edge | ModelEdge) -> None:
        self._graph = graph
        self._edge = edge

    def __getattr__(self, port: str) -> Handle:
        """The output port of that name.

        Raises:
            AttributeError: the node has no such output.
        """
        if port.startswith("_") or isinstance(self._edge, ModelEdge):
            raise AttributeError(port)
        node = self._edge.node
        outputs = ports_of(type(self._graph.nodes[node].operator)).outputs
        if port not in outputs:
            hint = did_you_mean(port, outputs)
            raise AttributeError(f"node {node!r} has no output {port!r}; expected {listing(outputs)}{hint}")
        return Handle(self._graph, Edge(node, port))

    def __repr__(self) -> str:
        """Where it points, as in YAML."""
        return f"Handle({self._edge})"


Feed = Edge | ModelEdge
#: What stands for a node or one of its outputs: a handle, or a text such as ``node.port``.
Name: TypeAlias = Handle | str
Inputs = Mapping[str, tuple[Feed, ...]]


@dataclass(slots=True)
class Node:
    """One node of a graph.

    Attributes:
        name: unique in the graph; a stage's nodes are called ``stage/node``.
        operator: what it does, with its parameters.
        inputs: port -> what feeds it (several for a fan-in port).
        device: ``auto``, a device such as ``cuda:0``, or a class such as ``cuda``; never part of a key.
        cache: ``auto``, ``always`` or ``never``.
    """

    name: str
    operator: Operator
    inputs: Inputs
    device: str = "auto"
    cache: str = "auto"

    def edges(self) -> Iterator[tuple[str, Edge]]:
        """The edges from other nodes, with the ports that they feed."""
        for port, sources in self.inputs.items():
            for source in sources:
                if isinstance(source, Edge):
                    yield port, source

    def read(self) -> Inputs:
        """What feeds the ports that the operator reads under its parameters."""
        unread = self.operator.unread()
        if not unread:
            return self.inputs
        return {port: sources for port, sources in self.inputs.items() if port not in unread}

    def upstream(self) -> Iterator[str]:
        """Names of the nodes that must run before this one."""
        for sources in self.read().values():
            yield from (source.node for source in sources if isinstance(source, Edge))


class CoreGraph:
    """A directed acyclic graph of operators.

    Args:
        name: what the run and its outputs are called.
    """

    def __init__(self, name: str = "graph") -> None:
        self.name = name
        self.nodes: dict[str, Node] = {}
        self.models: dict[str, dict[str, Any]] = {}
        self.outputs: list[str] = []
        self.stages: dict[str, str] = {}  # what a stage, or a node in one, is called outside -> its flat name
        self.request = Request()  # what it was composed of; records of its runs say it

    def __repr__(self) -> str:
        """Name and size, as ``Graph('toon', nodes=12, outputs=['video'])``."""
        return f"{type(self).__name__}({self.name!r}, nodes={len(self.nodes)}, outputs={self.outputs})"

    def model(self, name: str, spec: Mapping[str, Any]) -> Handle:
        """Declare a model that nodes may use, as under ``models:`` in YAML."""
        self.models[name] = dict(spec)
        return Handle(self, ModelEdge(name))

    def add(
        self,
        name: str,
        operator: Operator,
        /,
        *,
        device: str = "auto",
        cache: str = "auto",
        **inputs: Name | Sequence[Name] | None,
    ) -> Handle:
        """Add a node and connect it; checked at once.

        Args:
            name: a new name of letters, digits, ``_`` and ``-``.
            operator: the operator with its parameters.
            device: where it should run.
            cache: whether its result is kept.
            inputs: port -> a handle or a name such as ``node.port``, or a list of them for a fan-in port.

        Raises:
            GraphError: everything wrong with the node.
        """
        if not isinstance(operator, Operator):
            raise GraphError([_no_operator(name, operator)], self.name)
        edges: dict[str, tuple[Feed, ...]] = {}
        foreign = False
        for port, handles in inputs.items():
            if handles is not None:
                items = handles if isinstance(handles, (list, tuple)) else (handles,)
                found = [self.named(item) for item in items]
                foreign = foreign or None in found
                edges[port] = tuple([source for source in found if source is not None])
        node = Node(name, operator, edges, device, cache)
        faults = [*name_faults(self, name), *(self._foreign(inputs) if foreign else ())]
        faults += node_faults(self, node)
        faults = faults or operator_faults(self, node)
        if faults:
            raise GraphError(faults, self.name)
        self.nodes[name] = node
        return Handle(self, Edge(name))

    def _foreign(self, inputs: Mapping[str, Any]) -> list[Fault]:
        faults = []
        for port, handles in inputs.items():
            for handle in handles if isinstance(handles, (list, tuple)) else (handles,):
                if handle is not None and self.named(handle) is None:
                    given = "a handle of another graph" if isinstance(handle, Handle) else repr(handle)
                    near = nearest(handle, self.nodes) if isinstance(handle, str) else ""
                    expected = "a handle from add(), or its name"
                    faults.append(Fault(f"inputs.{port}", "not a node of this graph", expected, given, near))
        return faults

    def named(self, name: Any) -> Feed | None:
        """What a name stands for: ``node``, ``node.port``, ``stage``, ``stage.port``, ``models.name``.

        Args:
            name: the text, or a handle of this graph.

        Returns:
            None for what is no name of anything here.
        """
        if isinstance(name, Handle):
            return name._edge if name._graph is self else None
        if not isinstance(name, str):
            return None
        text = name.strip()
        found = parse_source(text, self.nodes)
        if found is not None:
            return found
        if text in self.stages:
            return parse_source(self.stages[text], self.nodes)
        head, _, port = text.rpartition(".")
        flat = self.stages.get(head, "")
        return Edge(flat, port) if flat in self.nodes else None

    def wanted(self, outputs: Sequence[Name] | None = None) -> list[Edge]:
        """The edges that a run must deliver: those asked for, else the graph's outputs, else every leaf.

        Raises:
            GraphError: an output that does not exist.
        """
        names: list[Name] = list(self.outputs if outputs is None else outputs)
        if not names and outputs is None:
            return self._leaves()
        edges, faults = [], []
        for i, text in enumerate(names):
            edge = self.named(text)
            if isinstance(edge, Edge) and edge.node in self.nodes:
                ports = ports_of(type(self.nodes[edge.node].operator)).outputs
                edges += [edge] if edge.port in ports else [Edge(edge.node, port) for port in ports]
                if edge.port not in ports and edge.port != DEFAULT_OUTPUT:
                    faults.append(_unknown(f"outputs[{i}]", "output", edge.port, ports))
            else:
                faults.append(_unknown(f"outputs[{i}]", "node", str(text), {**self.nodes, **self.stages}))
        if faults:
            raise GraphError(faults, self.name)
        return edges

    def _leaves(self) -> list[Edge]:
        """The outputs of the nodes that no other reads."""
        feeds = (feed for node in self.nodes.values() for group in node.inputs.values() for feed in group)
        used = {feed.node for feed in feeds if isinstance(feed, Edge)}
        found: list[Edge] = []
        for name, node in self.nodes.items():
            if name not in used:
                ports = ports_of(type(node.operator)).outputs
                found += [Edge(name)] if DEFAULT_OUTPUT in ports else [Edge(name, port) for port in ports]
        return found

    def to_networkx(self) -> networkx.MultiDiGraph[str]:
        """The nodes and edges for analysis; an edge's attributes are ``output`` and ``input``."""
        import networkx

        graph: networkx.MultiDiGraph[str] = networkx.MultiDiGraph(name=self.name)
        for node in self.nodes.values():
            graph.add_node(node.name, op=type(node.operator).op)
        for node in self.nodes.values():
            for port, edge in node.edges():
                graph.add_edge(edge.node, node.name, output=edge.port, input=port)
        return graph


def parse_source(text: str, nodes: Mapping[str, object]) -> Feed | None:
    """An edge from its text: ``node``, ``node.port``, or ``models.name``; None for what is neither."""
    text = text.strip()
    if text in nodes:
        return Edge(text)
    head, dot, tail = text.rpartition(".")
    if dot and head == "models":
        return ModelEdge(tail)
    return Edge(head, tail) if dot and head in nodes else None


def _no_operator(name: Any, given: object) -> Fault:
    shown = f"the class {given.__name__}" if isinstance(given, type) else repr(given)[:80]
    like = f"{given.__name__}()" if isinstance(given, type) else "VaeDecode()"
    return Fault(f"nodes.{name}", "not an operator", f"one with its parameters, such as {like}", shown)


def _unknown(path: str, what: str, given: str, valid: Mapping[str, object]) -> Fault:
    return Fault(
        path,
        f"unknown {what}",
        f"one of {listing(valid)}" if valid else "none",
        repr(given),
        nearest(given, valid),
    )


def name_faults(graph: CoreGraph, name: Any) -> list[Fault]:
    """What is wrong with a new node's name."""
    if not isinstance(name, str) or not NAME.fullmatch(name) or name == "models":
        return [Fault(f"nodes.{name}", "bad name", "letters, digits, _ and - (not 'models')", repr(name))]
    if name in graph.nodes:
        return [Fault(f"nodes.{name}", "defined twice", "a new name", repr(name))]
    return []


def node_faults(graph: CoreGraph, node: Node, path: str = "") -> list[Fault]:
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
            fault = _unknown(f"{path}.inputs.{name}", "port", name, ports)
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


def operator_faults(graph: CoreGraph, node: Node, path: str = "") -> list[Fault]:
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


def _feeds(graph: CoreGraph, node: Node) -> dict[str, Any]:
    feeds: dict[str, Any] = {}
    for port, sources in node.inputs.items():
        items = [
            graph.models[s.model] if isinstance(s, ModelEdge) else graph.nodes[s.node].operator
            for s in sources
        ]
        feeds[port] = items[0] if len(items) == 1 else items
    return feeds


def _upstream(graph: CoreGraph, node: Node) -> Upstream:
    def find(port: str) -> tuple[Operator, Upstream] | None:
        edge = next(iter(node.inputs.get(port, ())), None)
        above = graph.nodes.get(edge.node) if isinstance(edge, Edge) else None
        return None if above is None else (above.operator, _upstream(graph, above))

    return find


def _port_faults(graph: CoreGraph, path: str, port: Port, sources: Sequence[Feed]) -> list[Fault]:
    if not port.many and len(sources) != 1:
        return [Fault(path, "takes one edge", port.type_name, f"{len(sources)} edges")]
    if port.many and port.required and not sources:
        return [Fault(path, "missing input", port.type_name)]
    alone = len(sources) == 1
    return [fault for source in sources if (fault := _source_fault(graph, path, port, source, alone))]


def _source_fault(graph: CoreGraph, path: str, port: Port, source: Feed, alone: bool) -> Fault | None:
    if isinstance(source, ModelEdge):
        if source.model not in graph.models:
            return _unknown(path, "model", source.model, graph.models)
        return None if port.is_model else Fault(path, "wrong type", port.type_name, f"the model {source}")
    upstream = graph.nodes.get(source.node)
    if upstream is None:
        return _unknown(path, "node", source.node, graph.nodes)
    outputs = ports_of(type(upstream.operator)).outputs
    if source.port not in outputs:
        return _unknown(path, f"output of {source.node}", source.port, outputs)
    given = outputs[source.port]
    if port.is_model or not port.fits(given.type, alone=alone):
        expected = "a model, such as models.base" if port.is_model else port.type_name
        return Fault(path, "wrong type", expected, f"{given.type_name} from {source}")
    return None
