"""From nodes to steps: operators are asked what they need, and the cache what it knows. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from flowsynth.core.edges import Edge, Inputs, ModelEdge, Node
from flowsynth.core.errors import Fault, FlowsynthError, GraphError, InputError, ParamError
from flowsynth.core.graph import CoreGraph
from flowsynth.core.operator import Operator
from flowsynth.core.ports import Ports, ports_of
from flowsynth.core.streams import Fold, Scan, StreamKind, Whole
from flowsynth.planning.host import PlanHost
from flowsynth.planning.lookup import LookUp
from flowsynth.planning.moment import Found, Moment
from flowsynth.planning.reading import Reading, unplanned
from flowsynth.planning.statics import Statics
from flowsynth.planning.step import Input, Step, streamed_nodes, streamed_ports

_NO_MODELS: Mapping[str, tuple[str, ...]] = {}
_NONE: frozenset[str] = frozenset()


class StepMaker:
    """Makes the steps of one plan, upstream first; what nodes share is found once.

    Args:
        graph: the graph.
        host: the cache, and what keys are made of.
        wanted: the edges to deliver.
        reading: what of the graph they need.
        look: looks steps up.
        moment: what this plan and others share.
    """

    def __init__(
        self,
        graph: CoreGraph,
        host: PlanHost,
        wanted: Iterable[Edge],
        reading: Reading,
        look: LookUp,
        moment: Moment,
    ) -> None:
        self._graph, self._host, self._reading, self._look = graph, host, reading, look
        self._moment = moment
        self._statics = Statics(graph.models, host, moment)
        self._places = host.place(graph)
        self._others = host.others(graph, self._places)
        self._wanted: dict[str, set[str]] = {}
        for edge in wanted:
            self._wanted.setdefault(edge.node, set()).add(edge.port)

    def step(self, name: str) -> Step:
        """The step of a node.

        Raises:
            RequestError: what it needs cannot be had.
            RunError: its operator raised.
        """
        node = self._graph.nodes[name]
        try:
            return self._asked(node)
        except ParamError as error:
            raise ParamError(f"nodes.{name}.{error}") from error
        except InputError as error:
            raise InputError(f"nodes.{name}: {error}") from error
        except (FlowsynthError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise unplanned(node, error) from error

    def _asked(self, node: Node) -> Step:
        """Everything here may ask the operator, which is somebody else's code."""
        name, specs = node.name, self._graph.models
        read, device = self._reading.inputs[name], self._places[name]
        models = _model_names(read) if specs else _NO_MODELS
        feeds = [(port, id(specs[model])) for port in models for model in models[port]] if models else ()
        asked = id(node.operator), device, node.cache, *feeds
        # Nodes of one operator (merged jobs have many) differ by what they read only.
        found = self._moment.found.get(asked)
        if found is None:
            found = self._moment.found[asked] = self._found(node, models)
        if found.operator is not node.operator:
            node = replace(node, operator=found.operator)
        ports, inputs = found.ports, _inputs(read, found.ports, self._graph)
        wanted = self._wanted.get(name)
        return Step(
            node,
            ports,
            found.kind,
            device,
            () if isinstance(found.kind, Scan) else self._others.get(name, ()),
            found.kept,
            found.static,
            inputs,
            found.streamed,
            streamed_nodes(inputs, found.streamed),
            _in_order(models, ports),
            tuple(self._reading.readers.get(name, ())),
            frozenset(wanted) if wanted else _NONE,
            found.notes,
            found.files,
            *self._look.step(name, found.static, found.kept, ports, inputs),
        )

    def _found(self, node: Node, given_models: Mapping[str, tuple[str, ...]]) -> Found:
        """What is to be known of a node whatever it reads."""
        notes: tuple[str, ...] = ()
        given, device = node.operator, self._places[node.name]
        if type(given).resolve is not Operator.resolve:
            node, notes = self._resolved(node)
        operator = node.operator
        ports = ports_of(type(operator))
        models = _in_order(given_models, ports)
        kind = operator.stream_with(self._declared(ports, models)) if models else operator.stream()
        _require_frames(node, kind, ports)
        static, code = self._statics.of(node.name, operator, device, models)
        if notes or code.notes:
            notes = tuple(dict.fromkeys((*notes, *code.notes)))
        kept = code.kept and node.cache != "never" and operator.cacheable()
        streamed = streamed_ports(kind, operator, ports)
        return Found(given, operator, ports, kind, streamed, kept, static, notes, code.files)

    def _resolved(self, node: Node) -> tuple[Node, tuple[str, ...]]:
        """The node with the operator that takes its operator's place, and what is to be told of that."""
        context = self._host.context(node.name, self._places[node.name])
        operator = node.operator.resolve(context, fetch=self._host.fetch)
        resolved = node if operator is node.operator else replace(node, operator=operator)
        return resolved, tuple(context.notes)

    def _declared(self, ports: Ports, models: Mapping[str, tuple[str, ...]]) -> dict[str, object]:
        """Model port -> the declaration that feeds it, or a list of them."""
        found = {port: [self._graph.models[name] for name in names] for port, names in models.items()}
        return {port: specs if ports.inputs[port].many else specs[0] for port, specs in found.items()}


def _require_frames(node: Node, kind: StreamKind, ports: Ports) -> None:
    """What is made in chunks must be made of frames: of anything else, one chunk's would be all there is."""
    if isinstance(kind, (Whole, Fold)):
        return
    for port in ports.outputs.values():
        if not port.temporal:
            given = f"{port.type_name}, from an operator whose stream() is {type(kind).__name__}"
            text = "an output without frames"
            raise GraphError([Fault(f"nodes.{node.name}.{port.name}", text, "Frames or the like", given)])


def _inputs(given: Inputs, ports: Ports, graph: CoreGraph) -> tuple[Input, ...]:
    if not given:
        return ()
    found = []
    for name, port in ports.inputs.items():
        edges = tuple([s for s in given.get(name, ()) if isinstance(s, Edge)])
        if edges:
            many = port.many and port.collects([_type_of(edge, graph) for edge in edges])
            found.append(Input(name, many, edges))
    return tuple(found)


def _type_of(edge: Edge, graph: CoreGraph) -> type:
    return ports_of(type(graph.nodes[edge.node].operator)).outputs[edge.port].type


def _model_names(given: Inputs) -> Mapping[str, tuple[str, ...]]:
    found = None
    for port, sources in given.items():
        names = tuple([s.model for s in sources if isinstance(s, ModelEdge)])
        if names:
            found = {**(found or {}), port: names}
    return found or _NO_MODELS


def _in_order(models: Mapping[str, tuple[str, ...]], ports: Ports) -> Mapping[str, tuple[str, ...]]:
    return {port: models[port] for port in ports.inputs if port in models} if models else _NO_MODELS
