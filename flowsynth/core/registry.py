"""From the name of an operator to its class: shipped ones, the user's own, and those of plug-ins."""

from __future__ import annotations

import importlib
from collections.abc import Collection
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from flowsynth.core.errors import RequestError, hint, listing, nearest
from flowsynth.core.operator import DEFINED, Operator
from flowsynth.core.ports import ports_of
from flowsynth.core.shipped import shipped_modules

ENTRY_POINT_GROUP = "flowsynth.operators"


class UnknownOperatorError(RequestError):
    """No operator of that name; says the nearest one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nearest = nearest(name, operator_names())
        expected = listing(operator_names())
        super().__init__(f"unknown operator {name!r}; expected one of {expected}{hint(self.nearest)}")


class BrokenOperatorError(RequestError):
    """An operator that is there and cannot be used; says whose it is and why."""


@cache
def _plugins() -> dict[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        found.setdefault(point.name, []).append(point)
    return found


def plugin_names() -> Collection[str]:
    """The names that installed packages give to operators."""
    return _plugins()


def operator_names() -> list[str]:
    """All names that a graph may use, sorted."""
    return sorted({*shipped_modules(), *_plugins(), *DEFINED})


def operator_class(name: str) -> type[Operator]:
    """The class of an operator, imported on first use.

    Raises:
        UnknownOperatorError: no such operator.
        BrokenOperatorError: a plug-in's cannot be loaded, or several claim the name.
    """
    points = _plugins().get(name, [])
    if name in shipped_modules():
        _require_alone(name, points, "shipped with flowsynth")
        importlib.import_module(shipped_modules()[name])
    elif points and name not in DEFINED:
        _require_alone(name, points[1:], f"the one of {_origin(points[0])}")
        DEFINED.setdefault(name, _plugged(points[0]))
    if name not in DEFINED:
        raise UnknownOperatorError(name)
    return DEFINED[name]


def usable_operators() -> tuple[list[type[Operator]], list[str]]:
    """The classes of all operators that can be used, and why the others cannot."""
    classes, reasons = [], []
    for name in operator_names():
        try:
            cls = operator_class(name)
            if name not in shipped_modules():
                require_usable(cls)
            classes.append(cls)
        except BrokenOperatorError as error:  # noqa: PERF203  one plug-in does not cost the others
            reasons.append(str(error))
    return classes, reasons


def require_usable(cls: type[Operator]) -> None:
    """See that an operator's ports and params can be made out.

    Raises:
        BrokenOperatorError: they cannot: a type that is not there, a port that is not keyword-only.
    """
    try:
        cls.model_rebuild()
        cls.model_json_schema(mode="validation")
        ports_of(cls)
    except Exception as error:  # whatever annotations and pydantic raise of somebody else's class
        raise BrokenOperatorError(
            f"operator {cls.op!r} ({cls.__qualname__}): {_first_line(error)}"
        ) from error


def _origin(point: EntryPoint) -> str:
    return f"the plug-in {point.dist.name if point.dist else point.value!r} ({point.value})"


def _require_alone(name: str, others: list[EntryPoint], first: str) -> None:
    if others:
        raise BrokenOperatorError(
            f"operator {name!r} is {first}, and {_origin(others[0])} takes its name;"
            f" expected another name in its entry point {ENTRY_POINT_GROUP!r}"
        )


def _plugged(point: EntryPoint) -> type[Operator]:
    try:
        found = point.load()
    except (Exception, SystemExit) as error:  # whatever a plug-in's own code raises
        raise BrokenOperatorError(
            f"operator {point.name!r} of {_origin(point)} cannot be loaded ({_first_line(error)})"
        ) from error
    if not isinstance(found, type) or not issubclass(found, Operator):
        raise BrokenOperatorError(
            f"operator {point.name!r} of {_origin(point)} is no operator; expected a class, given {found!r}"
        )
    if found.op != point.name:
        raise BrokenOperatorError(
            f"operator {point.name!r} of {_origin(point)} calls itself {found.op!r}; expected one name"
        )
    try:
        require_usable(found)
    except BrokenOperatorError:
        DEFINED.pop(point.name, None)  # where its definition has put it
        raise
    return found


def _first_line(error: BaseException) -> str:
    first = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
