"""From the name of an operator to its class: shipped ones, the user's own, and those of plug-ins."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from flowsynth.core.errors import RequestError, hint, listing, nearest
from flowsynth.core.operator import DEFINED, Operator
from flowsynth.core.plugins import Plugins, first_line
from flowsynth.core.ports import ports_of
from flowsynth.core.shipped import shipped_modules

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

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


#: Operators of other distributions.
PLUGINS = Plugins("operator", ENTRY_POINT_GROUP, BrokenOperatorError)


def operator_names() -> list[str]:
    """All names that a graph may use, sorted."""
    return sorted({*shipped_modules(), *PLUGINS.names(), *DEFINED})


def operator_class(name: str) -> type[Operator]:
    """The class of an operator, imported on first use.

    Raises:
        UnknownOperatorError: no such operator.
        BrokenOperatorError: a plug-in's cannot be loaded, or several claim the name.
    """
    if name in shipped_modules():
        PLUGINS.find(name, shipped_modules())
        importlib.import_module(shipped_modules()[name])
    elif name not in DEFINED and (point := PLUGINS.find(name, ())) is not None:
        DEFINED.setdefault(name, _plugged(point))
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
        raise BrokenOperatorError(f"operator {cls.op!r} ({cls.__qualname__}): {first_line(error)}") from error


def _plugged(point: EntryPoint) -> type[Operator]:
    found = PLUGINS.load(point)
    if not isinstance(found, type) or not issubclass(found, Operator):
        raise PLUGINS.broken(point, f"is no operator; expected a class, given {found!r}")
    PLUGINS.require_named(point, found.op)
    try:
        require_usable(found)
    except BrokenOperatorError:
        DEFINED.pop(point.name, None)  # where its definition has put it
        raise
    return found
