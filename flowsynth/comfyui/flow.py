"""A workflow as all of ComfyUI's formats come to it: nodes by id, values and links by the input's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from flowsynth.core.canonical import Json


class Link(NamedTuple):
    """An output of a node."""

    node: str
    slot: int


Given: TypeAlias = "Link | Json"


@dataclass(frozen=True)
class Step:
    """One node of a workflow.

    Attributes:
        id: as ComfyUI numbers it; inside a subgraph with the ids of what holds it before, as ``7:3``.
        kind: name of its class.
        title: what its author calls it, empty if nothing else than its class.
        inputs: values of its widgets and links, by name.
    """

    id: str
    kind: str
    title: str = ""
    inputs: Mapping[str, Given] = field(default_factory=dict)

    def __str__(self) -> str:
        """As a person finds it."""
        named = f" {self.title!r}" if self.title and self.title != self.kind else ""
        return f"{self.kind} #{self.id}{named}"

    def links(self) -> list[Link]:
        """The outputs that it reads."""
        return [value for value in self.inputs.values() if isinstance(value, Link)]


@dataclass(frozen=True)
class Flow:
    """A workflow.

    Attributes:
        steps: its nodes by id, in the file's order.
        notes: texts that its author left beside the nodes.
    """

    steps: Mapping[str, Step]
    notes: tuple[str, ...] = ()
