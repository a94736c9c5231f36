"""Errors that a person reads: what, where, expected, given, and the nearest valid name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


class FlowsynthError(Exception):
    """Base of every error raised on purpose; the command line prints it without a traceback.

    It travels between processes whatever its constructor takes: message and attributes are what counts.
    """

    exit_code = 1

    def __reduce__(self) -> tuple[Any, ...]:
        """How it is pickled; by default that calls the constructor with the message."""
        return _again, (type(self), self.args, dict(vars(self)))


def _again(kind: type[FlowsynthError], args: tuple[Any, ...], attributes: dict[str, Any]) -> FlowsynthError:
    error = kind.__new__(kind, *args)
    vars(error).update(attributes)
    return error


class RequestError(FlowsynthError):
    """The request is wrong: a graph, an option or a file that cannot work. Exit code 2."""

    exit_code = 2


class RunError(FlowsynthError):
    """A run failed: a node raised, a file ended early, a disk is full. Exit code 1."""


class InputError(RequestError):
    """A file that an operator was told to read is missing or is not what it should be."""


class ParamError(RequestError):
    """A parameter has a value that no key can hold."""


class DeviceMemoryError(RunError):
    """A device has no room for what was asked of it."""


class CancelledError(RunError):
    """The run was asked to stop."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a request.

    Attributes:
        path: where, as a YAML path such as ``nodes.denoise.params.strength``, or a file.
        message: what is wrong, in a few words.
        expected: what would be right, if that can be said.
        given: what was found.
        nearest: the valid name closest to the given one, if there is one.
    """

    path: str
    message: str
    expected: str = ""
    given: str = ""
    nearest: str = ""

    def __str__(self) -> str:
        """One line for a person."""
        text = f"{self.path}: {self.message}"
        if self.expected:
            text += f"; expected {self.expected}"
        if self.given:
            text += f"; given {self.given}"
        return text + hint(self.nearest)


class GraphError(RequestError):
    """Everything wrong with a graph, found at once."""

    def __init__(self, faults: Sequence[Fault], where: str = "graph") -> None:
        self.faults = tuple(faults)
        self.where = where
        count = len(self.faults)
        head = f"{where}: {count} fault{'s' if count != 1 else ''}"
        lines = [f"  {fault}" for fault in self.faults]
        super().__init__("\n".join([head, *lines]) if count != 1 else f"{where}: {self.faults[0]}")


def error_text(error: BaseException) -> str:
    """What an error says, whatever its `__str__` does; ours without their type's name."""
    name = type(error).__name__
    try:
        text = str(error)
    except BaseException as worse:
        if isinstance(worse, KeyboardInterrupt):
            raise
        text = "(its message cannot be made)"
    if isinstance(error, FlowsynthError):
        return text or name
    return f"{name}: {text}" if text else name


def nearest(name: str, valid: Iterable[str]) -> str:
    """The valid name closest to a given one, or an empty string when none is close.

    Case does not count; a name that begins another one (``op``, ``operator``) is close to it.
    """
    given, names = str(name).lower(), list(valid)
    lower = {each.lower(): each for each in reversed(names)}
    if found := difflib.get_close_matches(given, list(lower), n=1, cutoff=0.5):
        return lower[found[0]]
    begun = [each for each in names if len(each) > 1 and given.startswith(each.lower())]
    return max(begun, key=len, default="")


def hint(near: str) -> str:
    """The end of a message that offers a valid name, empty where there is none to offer."""
    return f"; did you mean {near!r}?" if near else ""


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest valid one, if one is close."""
    return hint(nearest(name, valid))


def listing(names: Iterable[str], limit: int = 12) -> str:
    """Names for an ``expected`` text: sorted, and cut when they are many."""
    names = sorted(names)
    shown = ", ".join(names[:limit])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > limit else shown or "none"


def of_node(node: str, text: str) -> str:
    """A message that begins with the name of the node that it is about."""
    return text if text.startswith((f"{node}:", f"{node}.", "nodes.")) else f"{node}: {text}"
