"""From the name of a family to the family.

A shipped family is a folder of ``flowsynth/models/families`` with a module ``family``, whose ``FAMILY`` is
its class; a plug-in's is named by the entry point ``flowsynth.families``; one that a user's own file defines
is registered there, by `register_family`. Nothing else knows of any.
"""

from __future__ import annotations

import importlib
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from typing_extensions import get_protocol_members

from flowsynth.core.errors import RequestError, listing, nearest
from flowsynth.core.plugins import Plugins, first_line
from flowsynth.models.protocol import Family, Verb
from flowsynth.models.spec import ModelSpec

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINT_GROUP = "flowsynth.families"
_PACKAGE = "flowsynth.models.families"
#: Families of other distributions.
PLUGINS = Plugins("model family", ENTRY_POINT_GROUP)
#: Families of this process's own.
REGISTERED: dict[str, Family[ModelSpec]] = {}


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


def family_names() -> list[str]:
    """Names of all families, shipped, plugged in and registered."""
    return sorted({*shipped_families(), *PLUGINS.names(), *REGISTERED})


def register_family(cls: type[Family[Any]]) -> None:
    """Have models of a family in this process, as a file of ``--operators`` or a notebook defines it.

    The same class again, as after an edit, takes the place of the one before.

    Raises:
        RequestError: a name that is shipped, a plug-in's, or another class's; a class that is no family.
    """
    name = getattr(cls, "name", None)
    if not isinstance(name, str) or (missing := _missing(found := cls())):
        lacking = "name" if not isinstance(name, str) else ", ".join(missing)
        raise RequestError(f"model family {cls.__name__}: lacks {lacking}")
    before = REGISTERED.get(name)
    taken = name in shipped_families() or name in PLUGINS.names()
    if taken or (before is not None and type(before).__qualname__ != cls.__qualname__):
        raise RequestError(f"model family {name!r}: the name is taken; expected another one")
    REGISTERED[name] = found


def family(name: str) -> Family[ModelSpec]:
    """The family of that name, which takes specs of its own `Family.spec_type` only.

    Raises:
        UnknownFamilyError: there is none.
        RequestError: several claim the name, or a plug-in's cannot be used.
    """
    return REGISTERED[name] if name in REGISTERED else _lasting(name)


@cache
def _lasting(name: str) -> Family[ModelSpec]:
    """A family that is there as long as the process."""
    point = PLUGINS.find(name, shipped_families())
    if name in shipped_families():
        found = importlib.import_module(f"{_PACKAGE}.{name}.family").FAMILY()
    elif point is not None:
        found = _plugged(point)
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


def _plugged(point: EntryPoint) -> object:
    cls = PLUGINS.load(point)
    try:
        found = cls()  # type: ignore[operator]  # whatever it is: what it raises is told
    except (Exception, SystemExit) as error:
        raise PLUGINS.broken(point, f"cannot be loaded ({first_line(error)})") from error
    if missing := _missing(found):
        raise PLUGINS.broken(point, f"lacks {', '.join(missing)}")
    PLUGINS.require_named(point, found.name)
    return found


def _missing(found: object) -> list[str]:
    """What a family lacks."""
    return sorted(member for member in get_protocol_members(Family) if not hasattr(found, member))
