"""What a graph is made of: nodes, and the edges that feed their ports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from flowsynth.core.operator import Operator
from flowsynth.core.ports import DEFAULT_OUTPUT


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


Feed = Edge | ModelEdge
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


def parse_source(text: str, nodes: Mapping[str, object]) -> Feed | None:
    """An edge from its text: ``node``, ``node.port``, or ``models.name``; None for what is neither."""
    text = text.strip()
    if text in nodes:
        return Edge(text)
    head, dot, tail = text.rpartition(".")
    if dot and head == "models":
        return ModelEdge(tail)
    return Edge(head, tail) if dot and head in nodes else None
