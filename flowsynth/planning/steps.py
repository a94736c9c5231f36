"""From nodes to steps: operators are asked what they need, and the cache what it knows. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from flowsynth.core.canonical import Json
from flowsynth.core.devices import device_type
from flowsynth.core.errors import Fault, FlowsynthError, GraphError, InputError, ParamError, RequestError
from flowsynth.core.filehash import FileWatch, watching
from flowsynth.core.fingerprint import Source
from flowsynth.core.graph import CoreGraph, Edge, Inputs, ModelEdge, Node
from flowsynth.core.keys import ClassKey, StaticKey, static_key
from flowsynth.core.operator import Operator
from flowsynth.core.ports import Ports, ports_of
from flowsynth.core.streams import Fold, StreamKind, Whole
from flowsynth.planning.host import PlanHost
from flowsynth.planning.lookup import LookUp
from flowsynth.planning.reading import Reading, unplanned
from flowsynth.planning.step import Input, Step, streamed_nodes, streamed_ports

_NO_MODELS: Mapping[str, tuple[str, ...]] = {}
_NONE: frozenset[str] = frozenset()


@dataclass(slots=True)
class Code:
    """What the code of classes gives to a step.

    Attributes:
        sources: the classes' code.
        files: files that the code names as text, whose bytes are part of its fingerprint.
        kept: what is made with it may be traced.
        notes: what looking at it has to tell.
    """

    sources: tuple[Source, ...]
    files: FileWatch = field(default_factory=FileWatch)
    kept: bool = field(init=False)
    notes: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """What follows from the sources."""
        self.kept = all(source.kept for source in self.sources)
        self.notes = tuple(dict.fromkeys(note for source in self.sources for note in source.notes))

    def joined(self, other: Code) -> Code:
        """Both."""
        files = FileWatch()
        files.seen.update({**self.files.seen, **other.files.seen})
        return Code((*self.sources, *other.sources), files)


class StepMaker:
    """Makes the steps of one plan, upstream first; what nodes share is found once.

    Args:
        graph: the graph.
        host: the cache, and what keys are made of.
        wanted: the edges to deliver.
        reading: what of the graph they need.
        look: looks steps up.
    """

    def __init__(
        self, graph: CoreGraph, host: PlanHost, wanted: Iterable[Edge], reading: Reading, look: LookUp
    ) -> None:
        self._graph, self._host, self._reading, self._look = graph, host, reading, look
        self._places = host.place(graph)
        self._wanted: dict[str, set[str]] = {}
        for edge in wanted:
            self._wanted.setdefault(edge.node, set()).add(edge.port)
        self._code: dict[type, Code] = {}
        self._shared: dict[tuple[type, str], ClassKey] = {}
        self._models: dict[tuple[str, tuple[str, ...]], tuple[str, FileWatch]] = {}

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
        notes: tuple[str, ...] = ()
        if type(node.operator).resolve is not Operator.resolve:
            node, notes = self._resolved(node)
        name, operator = node.name, node.operator
        ports, read, device = ports_of(type(operator)), self._reading.inputs[name], self._places[name]
        inputs, models = _inputs(read, ports, self._graph), _models(read, ports)
        kind = operator.stream_with(self._declared(ports, models)) if models else operator.stream()
        _require_frames(node, kind, ports)
        streamed = streamed_ports(kind, operator, ports)
        static, code = self._static(node, device, models)
        if notes or code.notes:
            notes = tuple(dict.fromkeys((*notes, *code.notes)))
        kept = code.kept and node.cache != "never" and operator.cacheable()
        wanted = self._wanted.get(name)
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
            tuple(self._reading.readers.get(name, ())),
            frozenset(wanted) if wanted else _NONE,
            notes,
            code.files,
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
        self, node: Node, device: str, models: Mapping[str, tuple[str, ...]]
    ) -> tuple[StaticKey, Code]:
        """What is known of a node's key, and the code and all files that it holds the bytes of."""
        host, operator = self._host, node.operator
        cls = type(operator)
        found = self._code_of(cls)

        def source(other: type) -> str:
            nonlocal found
            code = self._code_of(other)
            found = found.joined(code)
            return code.sources[0].fingerprint

        def made(prints: Mapping[str, Json]) -> StaticKey:
            context = lambda: host.context(node.name, "cpu")  # noqa: E731
            return static_key(
                operator, self._shared_key(cls, device), source, host.file_hash, prints, context
            )

        if not models and cls.files is Operator.files:
            return made(_NO_PRINTS), found
        with watching() as watch:
            static = made(self._model_prints(cls, models, watch))
        return static, found.joined(Code((), watch))

    def _code_of(self, cls: type) -> Code:
        """The code of an operator's class, or of that of an object among params."""
        if cls not in self._code:
            with watching() as watch:
                self._code[cls] = Code((self._host.source(cls),), watch)
        return self._code[cls]

    def _shared_key(self, cls: type[Operator], device: str) -> ClassKey:
        shared = self._shared.get((cls, device))
        if shared is None:
            source = self._code_of(cls).sources[0].fingerprint
            shared = self._shared[cls, device] = ClassKey.of(cls, device_type(device), source)
        return shared

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


_NO_PRINTS: Mapping[str, Json] = {}


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


def _models(given: Inputs, ports: Ports) -> Mapping[str, tuple[str, ...]]:
    found = None
    for port, sources in given.items():
        names = tuple([s.model for s in sources if isinstance(s, ModelEdge)])
        if names:
            found = {**(found or {}), port: names}
    return {port: found[port] for port in ports.inputs if port in found} if found else _NO_MODELS
