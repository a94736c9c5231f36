"""A prompt of ComfyUI's API in the making, and the graph that it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from flowsynth.core.canonical import Json
from flowsynth.core.errors import Fault

#: An output of a node: its name and number.
Out: TypeAlias = list[Json]


class NoCounterpartError(Exception):
    """Something of a graph has no node of ComfyUI's that is it; path within the node and why."""

    def __init__(self, path: str, message: str, expected: str = "") -> None:
        super().__init__(path, message, expected)
        self.path, self.message, self.expected = path, message, expected

    def __str__(self) -> str:
        """Why."""
        return self.message

    def fault(self, node: str) -> Fault:
        """As all faults are told."""
        return Fault(
            f"nodes.{node}.{self.path}" if self.path else f"nodes.{node}", self.message, self.expected
        )


@dataclass
class Prompt:
    """Nodes by number, and what each of the graph's nodes became.

    Attributes:
        nodes: the prompt.
        made: outputs by the graph's node.
        models: the graph's models, as declared.
    """

    models: Mapping[str, Mapping[str, Any]]
    nodes: dict[str, Json] = field(default_factory=dict)
    made: dict[str, dict[str, Out]] = field(default_factory=dict)

    def add(self, kind: str, title: str = "", **inputs: Any) -> str:
        """Add a node; an equal one is taken again."""
        given = {name: value for name, value in inputs.items() if value is not None}
        for name, node in self.nodes.items():
            if isinstance(node, dict) and (node["class_type"], node["inputs"]) == (kind, given):
                return name
        name = str(len(self.nodes) + 1)
        node_: dict[str, Json] = {"class_type": kind, "inputs": given}
        if title:
            node_["_meta"] = {"title": title}
        self.nodes[name] = node_
        return name

    def turned(self, mask: Out) -> Out:
        """A mask turned around; twice is not at all."""
        node = self.nodes[str(mask[0])]
        if isinstance(node, dict) and node["class_type"] == "InvertMask":
            inputs = node["inputs"]
            if isinstance(inputs, dict) and isinstance(before := inputs["mask"], list):
                return before
        return self.out("InvertMask", mask=mask)

    def used(self, names: Iterable[str]) -> dict[str, Json]:
        """The nodes that some depend on, these included, in order."""
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            node = self.nodes[name]
            if name not in found and isinstance(node, dict) and isinstance(node["inputs"], dict):
                found.add(name)
                waiting += [str(value[0]) for value in node["inputs"].values() if isinstance(value, list)]
        return {name: node for name, node in self.nodes.items() if name in found}

    def out(self, kind: str, **inputs: Any) -> Out:
        """Add a node; its first output."""
        return [self.add(kind, **inputs), 0]


@dataclass(frozen=True)
class Given:
    """A node of the graph with what feeds it.

    Attributes:
        name: of the node.
        params: as the graph says them.
        model: name of its model, if it has one.
        ports: outputs by port; several of a port that collects.
    """

    name: str
    params: Mapping[str, Any]
    model: str
    ports: Mapping[str, list[Out]]
    sides: Mapping[str, tuple[Out, Out]]

    def one(self, port: str) -> Out:
        """What feeds a port."""
        if len(self.ports.get(port, [])) != 1:
            raise NoCounterpartError(f"inputs.{port}", "expected one edge")
        return self.ports[port][0]

    def only(self, *names: str) -> None:
        """Refuse other params."""
        for name in sorted(set(self.params) - set(names)):
            raise NoCounterpartError(f"params.{name}", "ComfyUI's node has nothing for it")
