"""Where a node is mapped: its inputs with their types looked at, and the graph that it adds to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from flowsynth.comfyui.flow import Link, Step
from flowsynth.comfyui.mapping.errors import CannotMapError, SkippedError
from flowsynth.comfyui.mapping.graph import Made, Sketch
from flowsynth.comfyui.mapping.values import Edge, Missing, Use
from flowsynth.core.canonical import Json

T = TypeVar("T")


@dataclass
class Site:
    """One node on its way.

    Attributes:
        step: the node.
        results: what each node before it gave.
        sketch: the graph.
    """

    step: Step
    results: Mapping[str, tuple[object, ...]]
    sketch: Sketch

    def value(self, port: str) -> Any:
        """What an input is given; None where it is given nothing.

        Raises:
            SkippedError: by a node that cannot be imported.
        """
        given = self.step.inputs.get(port)
        if not isinstance(given, Link):
            return given
        outputs = self.results.get(given.node, ())
        found = outputs[given.slot] if given.slot < len(outputs) else None
        if isinstance(found, Missing):
            raise SkippedError
        return found

    def maybe(self, port: str, kind: type[T]) -> T | None:
        """What an input is given, if anything.

        Raises:
            CannotMapError: something of another type.
        """
        found = self.value(port)
        if found is None or isinstance(found, kind):
            return found
        raise CannotMapError(f"{port}: expected {kind.__name__}, given {type(found).__name__}")

    def need(self, port: str, kind: type[T]) -> T:
        """What an input must be given.

        Raises:
            CannotMapError: nothing, or something of another type.
        """
        found = self.maybe(port, kind)
        if found is None:
            raise CannotMapError(f"{port}: nothing is connected")
        return found

    def number(self, port: str, default: float = 0.0) -> float:
        """A number."""
        found = self.value(port)
        if found is None:
            return default
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            try:
                return float(found)
            except (TypeError, ValueError):
                raise CannotMapError(f"{port}: expected a number, given {found!r}") from None
        return float(found)

    def whole(self, port: str, default: int = 0) -> int:
        """A whole number, exactly: seeds go beyond what floats hold."""
        found = self.value(port)
        return (
            found
            if isinstance(found, int) and not isinstance(found, bool)
            else int(self.number(port, default))
        )

    def text(self, port: str, default: str = "") -> str:
        """A text."""
        found = self.value(port)
        if found is None:
            return default
        if not isinstance(found, (str, int, float)):
            raise CannotMapError(f"{port}: expected a text, given {type(found).__name__}")
        return str(found)

    def truth(self, port: str, default: bool = False) -> bool:
        """A truth value; older files write texts such as ``enable``."""
        found = self.value(port)
        if isinstance(found, str):
            return found.lower() in ("enable", "enabled", "true", "yes", "on")
        return default if found is None else bool(found)

    def add(
        self,
        op: str,
        inputs: Mapping[str, Edge | list[Edge] | Use] | None = None,
        params: Mapping[str, Json] | None = None,
        *,
        name: str = "",
        note: str = "",
    ) -> Edge:
        """Add a node to the graph; its name.

        Args:
            op: its operator.
            inputs: edges and models by port; empty edges are left out.
            params: fields; None is left out.
            name: what it is called before its number; the operator unless given.
            note: a line for its comment, beside the node that it stands for.
        """
        wired = {port: edge for port, edge in (inputs or {}).items() if edge not in ("", [])}
        said: dict[str, Json] = {key: value for key, value in (params or {}).items() if value is not None}
        made = Made(op, wired, said, str(self.step), [note] if note else [])
        return self.sketch.add(f"{name or op}_{self.step.id}", made)

    def note(self, text: str) -> None:
        """Say something that the user should know, beside this node."""
        self.sketch.notes.append(f"{self.step}: {text}")


@dataclass(frozen=True)
class Place:
    """A fault of an import: which node, why, and which results it keeps from being made."""

    step: Step
    reason: str
    feeds: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        """One line for a person."""
        kept = f"; feeds {', '.join(self.feeds)}" if self.feeds else ""
        return f"{self.step}: {self.reason}{kept}"
