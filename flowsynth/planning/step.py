"""A node in a plan: what it reads, where it runs, and what the cache knows of it. It never changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from flowsynth.core.edges import Edge, Node
from flowsynth.core.filehash import FileWatch
from flowsynth.core.keys import StaticKey, whole_hash
from flowsynth.core.operator import Operator
from flowsynth.core.ports import Ports
from flowsynth.core.refs import Ref
from flowsynth.core.status import PlanStatus
from flowsynth.core.streams import Source, StreamKind, Whole


class Input(NamedTuple):
    """What feeds an input port.

    Attributes:
        port: its name.
        many: a fan-in port, which gets a list.
        edges: where its values come from; one, unless it is a fan-in port.
    """

    port: str
    many: bool
    edges: tuple[Edge, ...]


class Step(NamedTuple):
    """A node in a plan.

    Attributes:
        node: the node; its operator is the one that takes the place of the graph's.
        ports: its ports.
        kind: how it treats time.
        device: where it is placed.
        others: devices that may compute its tasks as well, with the same result, while its own is busy.
        kept: its results may be traced: its key says all that they depend on, and the node wants it.
        static: what is known of its key before its inputs are.
        inputs: what feeds its ports, in their order; ports without an edge are left out.
        streamed: the input ports that it reads chunk by chunk.
        streams: names of the steps that it reads so.
        models: model port -> names of models (several for a fan-in port).
        readers: names of the steps that read it.
        wanted: output ports that the run must deliver.
        notes: what resolving its operator and looking at its code have to tell.
        files: what its key holds the bytes of, its models' included: none may change until it is run.
        key: its key; empty while an input is not known.
        status: what the cache says of it.
        outputs: references of its outputs, where they are traced.
        seconds: what computing it cost, where it is traced.
        said: what it wanted said then.
    """

    node: Node
    ports: Ports
    kind: StreamKind
    device: str
    others: tuple[str, ...]
    kept: bool
    static: StaticKey
    inputs: tuple[Input, ...]
    streamed: frozenset[str]
    streams: frozenset[str]
    models: Mapping[str, tuple[str, ...]]
    readers: tuple[str, ...]
    wanted: frozenset[str]
    notes: tuple[str, ...]
    files: FileWatch
    key: str = ""
    status: PlanStatus = "unknown"
    outputs: Mapping[str, Ref] | None = None
    seconds: float | None = None
    said: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Name and status only."""
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

    def sources(self) -> Iterable[Edge]:
        """Every edge that it reads."""
        return (edge for given in self.inputs for edge in given.edges)


_NONE: frozenset[str] = frozenset()


def streamed_ports(kind: StreamKind, operator: Operator, ports: Ports) -> frozenset[str]:
    """The input ports that are read chunk by chunk."""
    if isinstance(kind, (Whole, Source)):
        return _NONE
    whole = operator.whole_ports
    return frozenset(name for name, port in ports.inputs.items() if port.temporal and name not in whole)


def streamed_nodes(inputs: Iterable[Input], streamed: frozenset[str]) -> frozenset[str]:
    """Names of the steps that are read chunk by chunk."""
    if not streamed:
        return _NONE
    return frozenset(edge.node for given in inputs if given.port in streamed for edge in given.edges)


def input_hashes(
    inputs: Iterable[Input], outputs: Mapping[str, Mapping[str, Ref] | None]
) -> list[tuple[str, str]] | None:
    """(port, hash) of every input of a step, or None while one is unknown.

    Args:
        inputs: what feeds the ports.
        outputs: step -> its outputs, as far as they are known.
    """
    pairs = []
    for port, many, edges in inputs:
        refs = []
        for edge in edges:
            known = outputs[edge.node]
            if known is None:
                return None
            refs.append(known[edge.port])
        pairs.append((port, whole_hash(refs, True) if many else refs[0].hash))
    return pairs
