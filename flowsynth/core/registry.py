"""From the name of an operator to its class: shipped ones, the user's own, and those of plug-ins."""

from __future__ import annotations

import importlib
from functools import cache
from importlib.metadata import entry_points

from flowsynth.core.errors import RequestError, hint, listing, nearest
from flowsynth.core.operator import DEFINED, Operator
from flowsynth.core.shipped import shipped_modules

ENTRY_POINT_GROUP = "flowsynth.operators"


class UnknownOperatorError(RequestError):
    """No operator of that name; says the nearest one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nearest = nearest(name, operator_names())
        expected = listing(operator_names())
        super().__init__(f"unknown operator {name!r}; expected one of {expected}{hint(self.nearest)}")


@cache
def _plugin_names() -> dict[str, str]:
    return {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)}


def operator_names() -> list[str]:
    """All names that a graph may use, sorted."""
    return sorted({*shipped_modules(), *_plugin_names(), *DEFINED})


def operator_class(name: str) -> type[Operator]:
    """The class of an operator, imported on first use.

    Raises:
        UnknownOperatorError: no such operator.
    """
    if name not in DEFINED:
        if name in shipped_modules():
            importlib.import_module(shipped_modules()[name])
        elif name in _plugin_names():
            module, _, attribute = _plugin_names()[name].partition(":")
            DEFINED.setdefault(name, getattr(importlib.import_module(module), attribute))
    if name not in DEFINED:
        raise UnknownOperatorError(name)
    return DEFINED[name]
