"""The graph: named nodes of operators, joined by typed edges. Built in Python, or from a spec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from flowsynth.core.checks import name_faults, node_faults, operator_faults, unknown
from flowsynth.core.edges import Edge, Feed, ModelEdge, Node, parse_source
from flowsynth.core.errors import Fault, GraphError, did_you_mean, listing, nearest
from flowsynth.core.named import named_operator
from flowsynth.core.operator import Operator
from flowsynth.core.ports import DEFAULT_OUTPUT, ports_of
from flowsynth.core.record import Request

if TYPE_CHECKING:
    import networkx


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

    def __str__(self) -> str:
        """The text that stands for the same: ``node``, ``node.port`` or ``models.name``."""
        return str(self._edge)


#: What stands for a node or one of its outputs: a handle, or a text such as ``node.port``.
Name: TypeAlias = Handle | str


class CoreGraph:
    """A directed acyclic graph of operators.

    Args:
        name: what the run and its outputs are called.
    """

    def __init__(self, name: str = "graph") -> None:
        self.name = name
        self.nodes: dict[str, Node] = {}
        self.models: dict[str, dict[str, Any]] = {}
        self._outputs: list[str] = []
        self.stages: dict[str, str] = {}  # what a stage, or a node in one, is called outside -> its flat name
        self.request = Request()  # what it was composed of; records of its runs say it

    def __repr__(self) -> str:
        """Name and size, as ``Graph('toon', nodes=12, outputs=['video'])``."""
        return f"{type(self).__name__}({self.name!r}, nodes={len(self.nodes)}, outputs={self.outputs})"

    @property
    def outputs(self) -> list[str]:
        """Names of what a run delivers unless told otherwise; every leaf if there are none."""
        return self._outputs

    @outputs.setter
    def outputs(self, names: Sequence[Name]) -> None:
        self._outputs = [str(name) for name in names]

    def model(self, name: str, spec: Mapping[str, Any]) -> Handle:
        """Declare a model that nodes may use, as under ``models:`` in YAML."""
        self.models[name] = dict(spec)
        return Handle(self, ModelEdge(name))

    @overload
    def add(
        self,
        name: str,
        operator: Operator,
        /,
        *,
        device: str = "auto",
        cache: str = "auto",
        **inputs: Name | Sequence[Name] | None,
    ) -> Handle: ...

    @overload
    def add(
        self, name: str, operator: str, /, *, device: str = "auto", cache: str = "auto", **given: Any
    ) -> Handle: ...

    def add(
        self,
        name: str,
        operator: Operator | str,
        /,
        *,
        device: str = "auto",
        cache: str = "auto",
        **inputs: Any,
    ) -> Handle:
        """Add a node and connect it; checked at once.

        Args:
            name: a new name of letters, digits, ``_`` and ``-``.
            operator: the operator with its parameters, or its name: ``g.add("clip", "read_video", path=P)``.
            device: where it should run.
            cache: whether its result is kept.
            inputs: port -> a handle or a name such as ``node.port``, or a list of them for a fan-in port; and
                the parameters of an operator that is named.

        Raises:
            GraphError: everything wrong with the node.
        """
        if isinstance(operator, str):
            operator, inputs = self._named(name, operator, inputs)
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

    def _named(self, name: str, op: str, given: Mapping[str, Any]) -> tuple[Operator, dict[str, Any]]:
        """An operator by its name, and what of the keywords is for its ports."""
        faults: list[Fault] = []
        operator, inputs = named_operator(op, given, f"nodes.{name}", faults)
        if operator is None or faults:
            raise GraphError(faults, self.name)
        return operator, inputs

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
                    faults.append(unknown(f"outputs[{i}]", "output", edge.port, ports))
            else:
                faults.append(unknown(f"outputs[{i}]", "node", str(text), {**self.nodes, **self.stages}))
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


def _no_operator(name: Any, given: object) -> Fault:
    shown = f"the class {given.__name__}" if isinstance(given, type) else repr(given)[:80]
    like = f"{given.__name__}()" if isinstance(given, type) else "VaeDecode()"
    return Fault(f"nodes.{name}", "not an operator", f"one with its parameters, such as {like}", shown)
