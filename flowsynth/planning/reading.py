"""What of a graph some outputs need: its nodes in order, what each reads, and who reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from flowsynth.core.edges import Edge, Inputs, Node
from flowsynth.core.errors import Fault, FlowsynthError, GraphError, RunError, error_text
from flowsynth.core.graph import CoreGraph


class Reading(NamedTuple):
    """What some outputs of a graph need.

    Attributes:
        order: names of nodes, upstream first.
        inputs: name -> what feeds the ports that its operator reads under its params; each was asked once.
        readers: name -> names of the nodes that read it, in order; without those that nobody reads.
    """

    order: Sequence[str]
    inputs: Mapping[str, Inputs]
    readers: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, graph: CoreGraph, roots: Iterable[str]) -> Reading:
        """The roots and all they need; iterative, linear.

        Raises:
            GraphError: a cycle.
            RunError: an operator raised while it was asked what it reads.
        """
        inputs: dict[str, Inputs] = {}
        upstream: dict[str, list[str]] = {}
        order: list[str] = []
        path: set[str] = set()
        stack = list(dict.fromkeys(roots))[::-1]
        while stack:
            name = stack[-1]
            if name not in upstream:
                inputs[name] = read = _read(graph.nodes[name])
                above = [s.node for sources in read.values() for s in sources if isinstance(s, Edge)]
                upstream[name] = above
                path.add(name)
                if not path.isdisjoint(above):
                    again = next(other for other in above if other in path)
                    raise GraphError([Fault(f"nodes.{again}", "depends on itself")], graph.name)
                stack.extend([other for other in reversed(above) if other not in upstream])
            else:
                stack.pop()
                if name in path:
                    path.remove(name)
                    order.append(name)
        return cls(order, inputs, _readers(order, upstream))


def _read(node: Node) -> Inputs:
    try:
        return node.read()
    except Exception as error:
        raise unplanned(node, error) from error


def _readers(order: Iterable[str], upstream: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in order:
        for other in upstream[name]:
            readers = found.setdefault(other, [])
            if not readers or readers[-1] != name:
                readers.append(name)
    return found


def unplanned(node: Node, error: BaseException) -> FlowsynthError:
    """What is said of an operator that raised while it was asked what it needs."""
    op = type(node.operator).op
    return RunError(f"nodes.{node.name}: {op} cannot be planned: {error_text(error)}")
