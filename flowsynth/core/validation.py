"""What pydantic found wrong with a mapping, as faults that a person reads: one a place, with its path."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError

from flowsynth.core.address import without_password
from flowsynth.core.errors import Fault, listing, nearest

_PREFIXES = ("Value error, ", "Input should be ", "expected ")
_MISSING, _EXTRA = "missing", "extra_forbidden"
_Loc = tuple[Any, ...]


def faults_of(
    error: ValidationError, data: Any, path: str, fields: Collection[str], what: str = "param"
) -> list[Fault]:
    """One fault a place that is wrong; where several types would do, all of them are named.

    Args:
        error: what pydantic raised.
        data: what it was given.
        path: where that stands in the YAML; empty for the top.
        fields: the names that are valid at its top.
        what: what one of them is called.
    """
    found: dict[_Loc, list[dict[str, Any]]] = {}
    for item in error.errors(include_url=False):
        found.setdefault(_place(item, data), []).append(dict(item))
    return [
        _fault(loc, items, path, fields, what)
        for loc, items in found.items()
        # A list that is no number has a wrong element: the element is what to say.
        if not any(len(other) > len(loc) and other[: len(loc)] == loc for other in found)
    ]


def _place(item: Mapping[str, Any], data: Any) -> _Loc:
    """The part of pydantic's location that is in the data; the rest names branches of unions."""
    here, place = data, []
    for i, part in enumerate(item["loc"]):
        inside = isinstance(here, Mapping) and part in here
        if inside or (isinstance(here, (list, tuple)) and isinstance(part, int) and part < len(here)):
            here = here[part]
            place.append(part)
        elif item["type"] == _MISSING and i == len(item["loc"]) - 1:
            place.append(part)
    return tuple(place)


def _fault(loc: _Loc, items: list[dict[str, Any]], path: str, fields: Collection[str], what: str) -> Fault:
    where = ".".join([*([path] if path else []), *map(str, loc)]) or "params"
    first, kind = str(loc[-1]) if loc else "", items[0]["type"]
    if kind == _EXTRA:
        valid = list(fields) if len(loc) == 1 else []
        expected = listing(valid) if len(loc) == 1 else "a key that is known here"
        return Fault(where, f"unknown {what}", expected, repr(first), nearest(first, valid))
    if kind == _MISSING:
        return Fault(where, f"missing {what}")
    given, choices = items[0].get("input"), [c for item in items for c in _choices(item)]
    expected = " or ".join(dict.fromkeys(_expected(item) for item in items))
    return Fault(where, "bad value", expected, shown(given), nearest(str(given), choices))


def _choices(item: Mapping[str, Any]) -> list[str]:
    return str(item["msg"]).split("'")[1::2] if item["type"] in ("literal_error", "enum") else []


def _expected(item: Mapping[str, Any]) -> str:
    text = str(item["msg"])
    for prefix in _PREFIXES:
        text = text.removeprefix(prefix)
    return text.removesuffix(f", given {item.get('input')!r}")  # that is said once, for all of them


def shown(value: Any) -> str:
    """A value as messages show it: cut where it is long."""
    text = without_password(repr(value))
    return text if len(text) <= 80 else text[:77] + "..."
