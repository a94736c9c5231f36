"""The plan: what of a graph is in the cache already, and what has to run. Imports no torch, never changes."""

from __future__ import annotations

import gc
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from flowsynth.core.canonical import Json, digest_parts
from flowsynth.core.errors import (
    Fault,
    FlowsynthError,
    GraphError,
    InputError,
    ParamError,
    RequestError,
    RunError,
    error_text,
)
from flowsynth.core.filehash import FileWatch, watching
from flowsynth.core.fingerprint import Source
from flowsynth.core.graph import CoreGraph, Edge, Inputs, ModelEdge, Name, Node
from flowsynth.core.keys import StaticKey
from flowsynth.core.operator import Operator
from flowsynth.core.ports import Ports, ports_of
from flowsynth.core.streams import Fold, StreamKind, Whole
from flowsynth.planning.host import Index, PlanHost
from flowsynth.planning.lookup import LookUp, demand, looked_up_again
from flowsynth.planning.step import Input, Step, streamed_nodes, streamed_ports


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of a graph in topological order, pruned to what the outputs need.

    Attributes:
        graph: the graph.
        steps: name -> step, in topological order.
        wanted: the edges to deliver.
        row: name of the index row that remembers this graph's last keys.
        last_keys: node -> its key when it was last run, whatever else was run then.
    """

    graph: CoreGraph
    steps: Mapping[str, Step]
    wanted: tuple[Edge, ...]
    row: str
    last_keys: Mapping[str, str]

    def executing(self) -> list[Step]:
        """The steps that are not hits."""
        return [step for step in self.steps.values() if step.executes]


def make_plan(graph: CoreGraph, host: PlanHost, outputs: Sequence[Name] | None = None) -> Plan:
    """Look every node up, without running or importing anything heavy.

    Args:
        graph: a checked graph.
        host: the cache and the fingerprints.
        outputs: what to deliver; the graph's own outputs unless given.

    Raises:
        RequestError: an output that does not exist, a file that is missing, a model that cannot be found.
        RunError: an operator raised while it was asked what it needs.
    """
    with _collector_paused():
        wanted = graph.wanted(outputs)
        order = upstream_first(graph, [edge.node for edge in wanted])
        row = row_of(graph)
        last = last_keys(host.lookup(row))
        known = host.lookup_many([last[name] for name in order if name in last]) if last else {}
        planner = _Planner(graph, host, wanted, _readers(graph, order), LookUp(host, known))
        steps = {name: planner.step(graph.nodes[name]) for name in order}
        demand(steps, host.has_object)
        return Plan(graph, steps, tuple(wanted), row, last)


def replan(plan: Plan, index: Index, lost: Collection[str]) -> Plan:
    """The plan as the cache is now.

    Args:
        plan: made before; its fingerprints stay.
        index: the cache.
        lost: objects that turned out to be unreadable, whatever the cache says of them.
    """
    steps = looked_up_again(plan.steps, index)
    demand(steps, lambda name: name not in lost and index.has_object(name))
    return replace(plan, steps=steps)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """No cyclic garbage is made by planning, but many objects are: looking through them costs a third."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Planner:
    """Makes the steps of one plan, upstream first; what nodes share is found once."""

    def __init__(
        self,
        graph: CoreGraph,
        host: PlanHost,
        wanted: Iterable[Edge],
        readers: Mapping[str, Sequence[str]],
        look: LookUp,
    ) -> None:
        self._graph, self._host, self._look = graph, host, look
        self._readers = readers
        self._places = host.place(graph)
        self._wanted: dict[str, set[str]] = {}
        for edge in wanted:
            self._wanted.setdefault(edge.node, set()).add(edge.port)
        self._sources: dict[type, Source] = {}
        self._models: dict[tuple[str, tuple[str, ...]], tuple[str, FileWatch]] = {}

    def step(self, node: Node) -> Step:
        """The step of a node.

        Raises:
            RequestError: what it needs cannot be had.
            RunError: its operator raised.
        """
        try:
            return self._asked(node)
        except ParamError as error:
            raise ParamError(f"nodes.{node.name}.{error}") from error
        except InputError as error:
            raise InputError(f"nodes.{node.name}: {error}") from error
        except (FlowsynthError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise _unplanned(node, error) from error

    def _asked(self, node: Node) -> Step:
        """Everything here may ask the operator, which is somebody else's code."""
        notes: tuple[str, ...] = ()
        read = node.read()
        if type(node.operator).resolve is not Operator.resolve:
            node, notes = self._resolved(node)
        name, operator, device = node.name, node.operator, self._places[node.name]
        ports = ports_of(type(operator))
        inputs, models = _inputs(read, ports, self._graph), _models(read, ports)
        kind = operator.stream_with(self._declared(ports, models)) if models else operator.stream()
        _require_frames(node, kind, ports)
        streamed = streamed_ports(kind, operator, ports)
        files, code = FileWatch(), list[Source]()
        prints = self._model_prints(type(operator), models, files)
        static = self._static(node, device, prints, files, code)
        notes = tuple(dict.fromkeys((*notes, *(note for source in code for note in source.notes))))
        kept = all(s.kept for s in code) and node.cache != "never" and operator.cacheable()
        return Step(
            node,
            ports,
            kind,
            device,
            kept,
            static,
            inputs,
            streamed,
            streamed_nodes(inputs, streamed),
            models,
            tuple(self._readers.get(name, ())),
            frozenset(self._wanted.get(name, ())),
            notes,
            files,
            *self._look.step(name, static, kept, ports, inputs),
        )

    def _resolved(self, node: Node) -> tuple[Node, tuple[str, ...]]:
        """The node with the operator that takes its operator's place, and what is to be told of that."""
        context = self._host.context(node.name, "cpu")
        operator = node.operator.resolve(context, fetch=self._host.fetch)
        resolved = node if operator is node.operator else replace(node, operator=operator)
        return resolved, tuple(context.notes)

    def _declared(self, ports: Ports, models: Mapping[str, tuple[str, ...]]) -> dict[str, object]:
        """Model port -> the declaration that feeds it, or a list of them."""
        found = {port: [self._graph.models[name] for name in names] for port, names in models.items()}
        return {port: specs if ports.inputs[port].many else specs[0] for port, specs in found.items()}

    def _static(
        self,
        node: Node,
        device: str,
        prints: Mapping[str, Json],
        files: FileWatch,
        code: list[Source],
    ) -> StaticKey:
        """What is known of a node's key; notes the files and the code that it holds."""
        host, operator = self._host, node.operator

        def source(cls: type) -> str:
            code.append(self._source(cls))
            return code[-1].fingerprint

        def make() -> StaticKey:
            context = lambda: host.context(node.name, "cpu")  # noqa: E731
            return StaticKey(operator, device, source, host.file_hash, prints, context)

        if type(operator).files is Operator.files:
            return make()
        with watching() as watch:
            static = make()
        files.seen.update(watch.seen)
        return static

    def _source(self, cls: type) -> Source:
        if cls not in self._sources:
            self._sources[cls] = self._host.source(cls)
        return self._sources[cls]

    def _model_prints(
        self, cls: type[Operator], models: Mapping[str, tuple[str, ...]], files: FileWatch
    ) -> dict[str, Json]:
        """Model port -> fingerprints of what feeds it."""
        prints: dict[str, Json] = {}
        for port, names in models.items():
            found = [self._model_print(name, cls.model_parts.get(port, ())) for name in names]
            for _, watch in found:
                files.seen.update(watch.seen)
            prints[port] = [text for text, _ in found]
        return prints

    def _model_print(self, name: str, parts: tuple[str, ...]) -> tuple[str, FileWatch]:
        if (name, parts) not in self._models:
            spec = self._graph.models[name]
            try:
                with watching() as watch:
                    self._models[name, parts] = self._host.model_fingerprint(name, spec, parts), watch
            except InputError as error:
                raise RequestError(f"models.{name}: {error}") from error
        return self._models[name, parts]


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
    for port in ports.inputs.values():
        if port.name in given:
            edges = tuple(s for s in given[port.name] if isinstance(s, Edge))
            if edges:
                many = port.many and port.collects([_type_of(edge, graph) for edge in edges])
                found.append(Input(port.name, many, edges))
    return tuple(found)


def _type_of(edge: Edge, graph: CoreGraph) -> type:
    return ports_of(type(graph.nodes[edge.node].operator)).outputs[edge.port].type


_NO_MODELS: Mapping[str, tuple[str, ...]] = {}


def _models(given: Inputs, ports: Ports) -> Mapping[str, tuple[str, ...]]:
    found = {
        port: tuple(s.model for s in sources if isinstance(s, ModelEdge))
        for port, sources in given.items()
        if any(isinstance(s, ModelEdge) for s in sources)
    }
    return {port: found[port] for port in ports.inputs if port in found} if found else _NO_MODELS


def upstream_first(graph: CoreGraph, roots: Iterable[str]) -> list[str]:
    """Names of the roots and all they need, upstream first; iterative, linear.

    Raises:
        GraphError: a cycle.
    """
    order: list[str] = []
    state: dict[str, int] = {}
    stack = list(dict.fromkeys(roots))[::-1]
    while stack:
        name = stack[-1]
        seen = state.get(name, 0)
        if seen == 0:
            state[name] = 1
            upstream = _upstream(graph.nodes[name])
            open_ = [other for other in upstream if state.get(other) == 1]
            if open_:
                raise GraphError([Fault(f"nodes.{open_[0]}", "depends on itself")], graph.name)
            stack.extend(other for other in reversed(upstream) if other not in state)
        else:
            stack.pop()
            if seen == 1:
                state[name] = 2
                order.append(name)
    return order


def _upstream(node: Node) -> list[str]:
    try:
        return list(node.upstream())
    except Exception as error:
        raise _unplanned(node, error) from error


def _unplanned(node: Node, error: BaseException) -> RunError:
    op = type(node.operator).op
    return RunError(f"nodes.{node.name}: {op} cannot be planned: {error_text(error)}")


def _readers(graph: CoreGraph, order: Sequence[str]) -> dict[str, list[str]]:
    """Node -> the nodes that read it."""
    found: dict[str, list[str]] = {}
    for name in order:
        for upstream in _upstream(graph.nodes[name]):
            readers = found.setdefault(upstream, [])
            if not readers or readers[-1] != name:
                readers.append(name)
    return found


def row_of(graph: CoreGraph) -> str:
    """Name of the index row that remembers the last keys of a graph's nodes."""
    return "graph:" + digest_parts([graph.name, *graph.nodes])


def last_keys(row: bytes | None) -> dict[str, str]:
    """Node -> its key when it was last run, from what such a row holds."""
    try:
        data = json.loads(row) if row else {}
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
