"""From the name of a family to the family.

A shipped family is a folder of ``flowsynth/models/families`` with a module ``family``, whose ``FAMILY`` is
its class; a plug-in's is named by the entry point ``flowsynth.families``. Nothing else knows of either.
"""

from __future__ import annotations

import importlib
from contextlib import suppress
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import cast

from typing_extensions import get_protocol_members

from flowsynth.core.errors import RequestError, listing, nearest
from flowsynth.models.protocol import Family, Verb
from flowsynth.models.spec import ModelSpec

ENTRY_POINT_GROUP = "flowsynth.families"
_PACKAGE = "flowsynth.models.families"


class UnknownFamilyError(RequestError):
    """No family of that name; says the nearest one."""

    def __init__(self, name: str) -> None:
        self.name, self.nearest = name, nearest(name, family_names())
        super().__init__(f"unknown model family {name!r}; expected one of {listing(family_names())}")


@cache
def shipped_families() -> frozenset[str]:
    """Names of the families in this distribution, without importing one."""
    folder = Path(__file__).resolve().parent / "families"
    return frozenset(path.parent.name for path in folder.glob("*/family.py"))


@cache
def _plugins() -> dict[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        found.setdefault(point.name, []).append(point)
    return found


def family_names() -> list[str]:
    """Names of all families, shipped and plugged in."""
    return sorted({*shipped_families(), *_plugins()})


@cache
def family(name: str) -> Family[ModelSpec]:
    """The family of that name, which takes specs of its own `Family.spec_type` only.

    Raises:
        UnknownFamilyError: there is none.
        RequestError: several claim the name, or a plug-in's cannot be used.
    """
    points = _plugins().get(name, [])
    if name in shipped_families():
        _require_alone(name, points, "shipped with flowsynth")
        found = importlib.import_module(f"{_PACKAGE}.{name}.family").FAMILY()
    elif points:
        _require_alone(name, points[1:], f"the one of {_origin(points[0])}")
        found = _plugged(points[0])
    else:
        raise UnknownFamilyError(name)
    # `parse_model` makes every spec by the `spec_type` of the family it names: the two always fit.
    return cast("Family[ModelSpec]", found)


def families_with(verb: str) -> dict[str, Verb]:
    """The families whose models have a verb, with what they make of it; broken plug-ins are left out."""
    found: dict[str, Verb] = {}
    for name in family_names():
        with suppress(RequestError):
            if verb in family(name).verbs:
                found[name] = family(name).verbs[verb]
    return found


def _origin(point: EntryPoint) -> str:
    return f"the plug-in {point.dist.name if point.dist else point.value!r} ({point.value})"


def _require_alone(name: str, others: list[EntryPoint], first: str) -> None:
    if others:
        raise RequestError(
            f"model family {name!r} is {first}, and {_origin(others[0])} takes its name;"
            f" expected another name in its entry point {ENTRY_POINT_GROUP!r}"
        )


def _plugged(point: EntryPoint) -> object:
    try:
        found = point.load()()
    except Exception as error:  # whatever a plug-in's own code raises
        first = str(error).partition("\n")[0]
        reason = f"{type(error).__name__}: {first}"
        raise RequestError(
            f"model family {point.name!r} of {_origin(point)} cannot be loaded ({reason})"
        ) from error
    missing = sorted(member for member in get_protocol_members(Family) if not hasattr(found, member))
    if missing:
        raise RequestError(f"model family {point.name!r} of {_origin(point)} lacks {', '.join(missing)}")
    if found.name != point.name:
        raise RequestError(
            f"model family {point.name!r} of {_origin(point)} calls itself {found.name!r}; expected one name"
        )
    return found
