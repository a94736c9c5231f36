"""The plan: what of a graph is in the cache already, and what has to run. Imports no torch.

Keys are walked forwards (an input's content must be known before a key can be), then demand backwards: a
traced node runs again only if its object is gone and somebody needs it.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from flowsynth.core.canonical import Json, canonical_json, digest_parts
from flowsynth.core.context import RunContext
from flowsynth.core.errors import GraphError, InputError, ParamError
from flowsynth.core.filehash import FileWatch, watching
from flowsynth.core.fingerprint import Source
from flowsynth.core.graph import Edge, Graph, ModelEdge, Node
from flowsynth.core.keys import StaticKey, whole_hash
from flowsynth.core.operator import Operator
from flowsynth.core.ports import Ports, ports_of
from flowsynth.core.refs import Ref, Trace, objects_of
from flowsynth.core.status import PlanStatus
from flowsynth.core.streams import StreamKind


class Index(Protocol):
    """What a plan asks of the cache; it never writes."""

    def lookup(self, key: str) -> bytes | None:
        """The row under a key."""
        ...

    def lookup_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The rows that exist under some keys."""
        ...

    def has_object(self, key: str) -> bool:
        """Whether an object is there (its bytes are checked when it is opened)."""
        ...


@dataclass(slots=True)
class Environment:
    """Everything a plan needs from the layers above the core.

    Attributes:
        index: the cache.
        source: the code of a class: an operator's, or that of an object among its params.
        file_hash: content hash of a file.
        model_fingerprint: name, spec and parts of a model (none for all) -> their fingerprint.
        place: node -> device for a whole graph.
        context: a context for operators that find files by name.
        fetch: a run follows: what operators need and lack may be downloaded.
    """

    index: Index
    source: Callable[[type], Source]
    file_hash: Callable[[Path], str]
    model_fingerprint: Callable[[str, Mapping[str, Any], tuple[str, ...]], str]
    place: Callable[[Graph], Mapping[str, str]]
    context: Callable[[str], RunContext]
    fetch: bool = False


@dataclass(slots=True, eq=False, repr=False)
class Step:
    """A node in a plan.

    Attributes:
        index: position in topological order.
        node: the node.
        ports: its ports.
        kind: how it treats time.
        device: where it is placed.
        sources: (port, fan-in?, [(upstream step, output port), ...]) in the order of the ports.
        models: model port -> names of models (several for a fan-in port).
        consumers: steps that read this one.
        wanted: output ports that the run must deliver.
        notes: what resolving its operator and looking at its code have to tell.
        keyed: its key says all that its result depends on; else nothing is looked up or kept.
        files: what its key holds the bytes of, its models' included: none may change until it is run.
    """

    index: int
    node: Node
    ports: Ports
    kind: StreamKind
    device: str
    sources: list[tuple[str, bool, list[tuple[Step, str]]]] = field(default_factory=list)
    models: dict[str, list[str]] = field(default_factory=dict)
    consumers: list[Step] = field(default_factory=list)
    wanted: set[str] = field(default_factory=set)
    static: StaticKey | None = None
    key: str = ""
    outputs: Mapping[str, Ref] | None = None
    seconds: float | None = None
    status: PlanStatus = "unknown"
    notes: list[str] = field(default_factory=list)
    files: FileWatch = field(default_factory=FileWatch)
    keyed: bool = True

    def __repr__(self) -> str:
        """Name and status only: steps hold each other."""
        return f"Step({self.node.name!r}, {self.status!r})"

    @property
    def name(self) -> str:
        """The node's name."""
        return self.node.name

    @property
    def operator(self) -> Operator:
        """The node's operator."""
        return self.node.operator

    @property
    def executes(self) -> bool:
        """Whether the plan expects to run it, or cannot know yet."""
        return self.status != "hit"

    @property
    def kept(self) -> bool:
        """Whether its results may be traced."""
        return self.keyed and self.node.cache != "never" and self.operator.cacheable()

    def known_inputs(self) -> list[tuple[str, str]] | None:
        """(port, hash) of every input, or None while one is unknown."""
        pairs = []
        for port, many, feeds in self.sources:
            refs = [step.outputs[out] for step, out in feeds if step.outputs is not None]
            if len(refs) != len(feeds):
                return None
            pairs.append((port, whole_hash(refs, many)))
        return pairs


@dataclass(slots=True)
class Plan:
    """The steps of a graph in topological order, pruned to what the outputs need.

    Attributes:
        graph: the graph.
        steps: name -> step, in topological order.
        wanted: the edges to deliver.
        row: name of the index row that remembers this graph's last keys.
        last_keys: node -> key of the last run.
    """

    graph: Graph
    steps: dict[str, Step]
    wanted: list[Edge]
    row: str
    last_keys: dict[str, str]

    def executing(self) -> list[Step]:
        """The steps that are not hits."""
        return [step for step in self.steps.values() if step.executes]


def make_plan(graph: Graph, env: Environment, outputs: Sequence[str] | None = None) -> Plan:
    """Look every node up, without running or importing anything heavy.

    Args:
        graph: a checked graph.
        env: the cache and the fingerprints.
        outputs: what to deliver; the graph's own outputs unless given.

    Raises:
        RequestError: an output that does not exist, a file that is missing, a model that cannot be found.
    """
    with _collector_paused():
        return _make_plan(graph, env, outputs)


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


def _make_plan(graph: Graph, env: Environment, outputs: Sequence[str] | None) -> Plan:
    wanted = graph.wanted(outputs)
    steps = _steps(graph, wanted, env)
    row = "graph:" + digest_parts([graph.name, *steps])
    last = _last_keys(env.index.lookup(row))
    known = env.index.lookup_many(list(last.values())) if last else {}
    sources: dict[type, Source] = {}
    models: dict[tuple[str, tuple[str, ...]], tuple[str, FileWatch]] = {}
    for step in steps.values():
        step.static = _static(step, graph, env, sources, models)
        _look_up(step, env.index, known)
    _demand(steps.values(), env.index)
    return Plan(graph, steps, wanted, row, last)


def _steps(graph: Graph, wanted: Sequence[Edge], env: Environment) -> dict[str, Step]:
    steps: dict[str, Step] = {}
    places = env.place(graph)
    for name in _order(graph, [edge.node for edge in wanted]):
        inputs = graph.nodes[name].read()
        node, notes = _resolved(graph.nodes[name], env)
        ports = ports_of(type(node.operator))
        kind = node.operator.stream_with(_declared(node, ports, graph))
        steps[name] = step = Step(len(steps), node, ports, kind, places[name], notes=notes)
        for port in ports.inputs.values():
            sources = inputs.get(port.name, ())
            feeds = [(steps[s.node], s.port) for s in sources if isinstance(s, Edge)]
            names = [s.model for s in sources if isinstance(s, ModelEdge)]
            if feeds:
                step.sources.append((port.name, port.many, feeds))
            if names:
                step.models[port.name] = names
            for upstream, _ in feeds:
                if not upstream.consumers or upstream.consumers[-1] is not step:
                    upstream.consumers.append(step)
    for edge in wanted:
        steps[edge.node].wanted.add(edge.port)
    return steps


def _declared(node: Node, ports: Ports, graph: Graph) -> dict[str, object]:
    """Model port -> the declaration that feeds it, or a list of them."""
    if type(node.operator).stream_with is Operator.stream_with:
        return {}
    declared: dict[str, object] = {}
    for port, sources in node.inputs.items():
        found = [graph.models[s.model] for s in sources if isinstance(s, ModelEdge)]
        if found:
            declared[port] = found if ports.inputs[port].many else found[0]
    return declared


def _resolved(node: Node, env: Environment) -> tuple[Node, list[str]]:
    """The node with the operator that takes its operator's place, and what is to be told of that."""
    if type(node.operator).resolve is Operator.resolve:
        return node, []
    context = env.context(node.name)
    try:
        operator = node.operator.resolve(context, fetch=env.fetch)
    except InputError as error:
        raise InputError(f"nodes.{node.name}: {error}") from error
    return (node if operator is node.operator else replace(node, operator=operator)), context.notes


def _order(graph: Graph, roots: Iterable[str]) -> list[str]:
    """Names of the roots and all they need, upstream first; iterative, linear."""
    order: list[str] = []
    state: dict[str, int] = {}
    stack = list(dict.fromkeys(roots))[::-1]
    while stack:
        name = stack[-1]
        seen = state.get(name, 0)
        if seen == 0:
            state[name] = 1
            upstream = list(graph.nodes[name].upstream())
            open_ = [other for other in upstream if state.get(other) == 1]
            if open_:
                raise GraphError([], f"cycle through {open_[0]}")
            stack.extend(other for other in reversed(upstream) if other not in state)
        else:
            stack.pop()
            if seen == 1:
                state[name] = 2
                order.append(name)
    return order


def _static(
    step: Step,
    graph: Graph,
    env: Environment,
    sources: dict[type, Source],
    models: dict[tuple[str, tuple[str, ...]], tuple[str, FileWatch]],
) -> StaticKey:
    cls = type(step.operator)

    def source(cls: type) -> str:
        if cls not in sources:
            sources[cls] = env.source(cls)
        found = sources[cls]
        step.notes += [note for note in found.notes if note not in step.notes]
        step.keyed = step.keyed and found.kept
        return found.fingerprint

    prints: dict[str, Json] = {}
    for port, names in step.models.items():
        parts = cls.model_parts.get(port, ())
        for name in names:
            if (name, parts) not in models:
                models[name, parts] = _model(name, parts, graph, env)
            step.files.seen.update(models[name, parts][1].seen)
        prints[port] = [models[name, parts][0] for name in names]
    try:
        with watching() as watch:
            static = StaticKey(
                step.operator, step.device, source, env.file_hash, prints, lambda: env.context(step.name)
            )
        step.files.seen.update(watch.seen)
        return static
    except ParamError as error:
        raise ParamError(f"nodes.{step.name}.{error}") from error
    except InputError as error:
        raise InputError(f"nodes.{step.name}: {error}") from error


def _model(name: str, parts: tuple[str, ...], graph: Graph, env: Environment) -> tuple[str, FileWatch]:
    try:
        with watching() as watch:
            return env.model_fingerprint(name, graph.models[name], parts), watch
    except InputError as error:
        raise InputError(f"models.{name}: {error}") from error


def _look_up(step: Step, index: Index, known: Mapping[str, bytes]) -> None:
    inputs = step.known_inputs()
    if inputs is None or step.static is None:
        step.status = "unknown"
        return
    step.key = step.static.key(inputs)
    step.status = "run"
    row = (known.get(step.key) or index.lookup(step.key)) if step.kept else None
    trace = Trace.from_bytes(row) if row is not None else None
    if trace is not None and trace.outputs.keys() >= step.ports.outputs.keys():
        step.outputs, step.seconds, step.status = trace.outputs, trace.seconds, "hit"


def _demand(steps: Iterable[Step], index: Index) -> None:
    for step in reversed(list(steps)):
        if step.status != "hit" or step.outputs is None:
            continue
        needed = step.wanted or any(consumer.executes for consumer in step.consumers)
        if needed and not all(index.has_object(o) for ref in step.outputs.values() for o in objects_of(ref)):
            step.status = "rerun"


def _last_keys(row: bytes | None) -> dict[str, str]:
    try:
        data = json.loads(row) if row else {}
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def last_keys_row(plan: Plan) -> bytes:
    """The row that remembers a run's keys: the next plan is one read, and `explain` can compare."""
    return json.dumps({name: step.key for name, step in plan.steps.items() if step.key}).encode()


def explain(step: Step, last: Trace | None) -> list[str]:
    """Which parts of a step's key differ from those of its last run, one line each."""
    if step.static is None or last is None:
        return ["never computed with this cache"]
    now: dict[str, Any] = {**step.static.parts, "inputs": dict(step.known_inputs() or {})}
    if step.known_inputs() is None:
        now.pop("inputs")
    lines, reasons = [], last.reasons()
    for part, value in now.items():
        before = reasons.get(part)
        if before != value:
            lines += _difference(part, before, value)
    if "inputs" not in now:
        lines.append("inputs: not known before the nodes above have run")
    return lines


def _difference(part: str, before: Any, now: Any) -> list[str]:
    try:
        old = json.loads(before) if isinstance(before, str) and before[:1] in "{[" else before
        new = json.loads(now) if isinstance(now, str) and now[:1] in "{[" else now
    except ValueError:
        old, new = before, now
    if isinstance(old, dict) and isinstance(new, dict):
        names = sorted({*old, *new})
        return [
            f"{part}.{name}: {_text(old.get(name))} -> {_text(new.get(name))}"
            for name in names
            if old.get(name) != new.get(name)
        ]
    return [f"{part}: {_text(old)} -> {_text(new)}"]


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else canonical_json(value)
    return text[:12] + "..." if len(text) > 40 else text
