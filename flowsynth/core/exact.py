"""The exact form of a Python value as JSON: what JSON alone would lose is written out, or there is none.

Two values with one form act alike in any operator: types are told apart (a tuple and a list, an enum and its
text, a class and its subclass), dicts keep their order, and nothing that a model hides from its dumps is left
out. What is plain JSON already is its own form.
"""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
import math
import re
import types
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Mapping
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import cached_property
from pathlib import PurePath
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from flowsynth.core.canonical import Json, canonical_json, digest, digest_json

#: Begins the form of whatever is not plain JSON.
MARK = "!"
#: Deeper than this, or more items in all, counts as having no form: it refers to itself, or is no setting.
_DEPTH, _ITEMS = 60, 200_000
#: More bits than Python writes in decimal digits.
_LONG_INT = 10_000
_SMALL = 1 << 62

_SELF = frozenset({type(None), bool, str})
_TEXT: dict[type, Callable[[Any], Json]] = {
    complex: repr,
    Decimal: lambda value: str(value.as_tuple()),
    Fraction: str,
    uuid.UUID: str,
    range: repr,
    slice: lambda value: [repr(value.start), repr(value.stop), repr(value.step)],
    bytes: lambda value: [len(value), digest(value)],
    bytearray: lambda value: [len(value), digest(value)],
    datetime.date: str,
    datetime.timedelta: lambda value: [value.days, value.seconds, value.microseconds],
    datetime.timezone: repr,
    ZoneInfo: str,
    re.Pattern: lambda value: [str(type(value.pattern)), repr(value.pattern), value.flags],
    type(Ellipsis): repr,
    **{cls: str for cls in vars(ipaddress).values() if isinstance(cls, type) and "IPv" in cls.__name__},
}
_EXACT: dict[type, Callable[[Any], Any]] = {
    int: int.__pos__,
    float: float.__pos__,
    str: str.__str__,
    bytes: bytes,
    tuple: tuple,
    list: list,
    frozenset: frozenset,
    set: set,
    dict: dict,
}


class NoFormError(TypeError):
    """A value has no exact form; says which part of it."""


def exact(value: object, where: str = "value", classes: set[type] | None = None) -> Json:
    """The exact form of a value.

    Args:
        value: JSON, containers, enums, paths, dates, numbers, dataclasses and pydantic models of those.
        where: its path, for messages.
        classes: collects the classes of its parts whose code a user of the value may run.

    Raises:
        NoFormError: a part of another kind (a function, a tensor, an open file), or one that holds itself.
    """
    return ExactWalk(classes).form(value, where, 0)


class ExactWalk:
    """One walk over a value.

    Attributes:
        limit: most items; more has no form.
    """

    limit: ClassVar[int] = _ITEMS

    def __init__(self, classes: set[type] | None) -> None:
        self.classes = classes
        self.items = 0

    def form(self, value: Any, where: str, depth: int) -> Json:
        """The form of a part."""
        kind = type(value)
        if kind in _SELF:
            return value  # type: ignore[no-any-return]
        self.items += 1
        if depth > _DEPTH or self.items > self.limit:
            raise NoFormError(f"{where} holds itself, or far more than a setting does")
        if kind is int:
            return value if value.bit_length() < _LONG_INT else [MARK, "int", hex(value)]
        if kind is float:
            return value if math.isfinite(value) else [MARK, "float", repr(value)]
        if kind is list:
            return self._list(value, where, depth)
        if kind is dict:
            return self._dict(value, where, depth)
        if kind in _TEXT:
            return [MARK, kind.__name__, _TEXT[kind](value)]
        return [MARK, *self._other(value, kind, where, depth)]

    def _list(self, value: Collection[Any], where: str, depth: int) -> Json:
        items = self._items(value, where, depth)
        return [MARK, "list", items] if items and items[0] == MARK else items

    def _items(self, value: Collection[Any], where: str, depth: int) -> list[Json]:
        return [self.form(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]

    def _dict(self, value: Mapping[Any, Any], where: str, depth: int) -> Json:
        keys = list(value)
        if all(type(key) is str for key in keys) and keys == sorted(keys):
            return self._fields(value, where, depth)
        return [MARK, "dict", self._pairs(value, where, depth)]

    def _pairs(self, value: Mapping[Any, Any], where: str, depth: int) -> list[Json]:
        return [
            [self.form(key, f"a key of {where}", depth + 1), self.form(item, f"{where}[{key!r}]", depth + 1)]
            for key, item in value.items()
        ]

    def _fields(self, value: Mapping[str, Any], where: str, depth: int) -> dict[str, Json]:
        return {name: self.form(item, f"{where}.{name}", depth + 1) for name, item in value.items()}

    def _set(self, value: Collection[Any], where: str, depth: int) -> list[Json]:
        return sorted((self.form(item, f"{where}[...]", depth + 1) for item in value), key=canonical_json)

    def _other(self, value: Any, kind: type, where: str, depth: int) -> list[Json]:
        if kind is tuple:
            return ["tuple", self._items(value, where, depth)]
        if kind in (set, frozenset):
            return [kind.__name__, self._set(value, where, depth)]
        if kind in (OrderedDict, Counter, types.MappingProxyType):
            return [kind.__name__, self._pairs(value, where, depth)]
        if kind is deque:
            return ["deque", value.maxlen, self._items(value, where, depth)]
        if kind is defaultdict and (value.default_factory is None or value.default_factory in _EXACT):
            factory = getattr(value.default_factory, "__name__", None)
            return ["defaultdict", factory, self._pairs(value, where, depth)]
        if isinstance(value, PurePath):
            return ["path", _label(kind), str(value)]
        if isinstance(value, (datetime.datetime, datetime.time)) and kind.__module__ == "datetime":
            zone = None if value.tzinfo is None else self.form(value.tzinfo, f"{where}.tzinfo", depth + 1)
            return [kind.__name__, value.replace(tzinfo=None).isoformat(), value.fold, zone]
        return self.instance(value, kind, where, depth)

    def instance(self, value: Any, kind: type, where: str, depth: int) -> list[Json]:
        """An object of a class that has code of its own."""
        if kind.__module__.partition(".")[0] in ("pydantic", "pydantic_core"):
            return self._pydantic(value, kind, where, depth)
        if isinstance(value, Enum):
            own: Json = [value.name, self.form(value.value, f"{where}.value", depth + 1)]
        elif isinstance(value, BaseModel) or _is_record(kind):
            own = None
        else:
            base = next((base for base in _EXACT if isinstance(value, base)), None)
            if base is None or isinstance(value, defaultdict):  # its factory is a function
                raise NoFormError(
                    f"{where} is a {kind.__module__}.{kind.__qualname__}, which has no exact form; "
                    "expected JSON, an enum, a path, a date, a dataclass or a model; data comes by an edge"
                )
            own = self.form(_EXACT[base](value), where, depth + 1)
        if self.classes is not None:
            self.classes.add(kind)
        state = {} if isinstance(value, Enum) else self._fields(dict(_state(value, kind)), where, depth)
        return [_label(kind), own, dict(sorted(state.items()))]

    def _pydantic(self, value: Any, kind: type, where: str, depth: int) -> list[Json]:
        if hasattr(value, "get_secret_value"):
            secret = self.form(value.get_secret_value(), where, depth + 1)
            return [_label(kind), digest_json(secret)]  # the secret itself is in no trace
        if hasattr(value, "unicode_string"):
            return [_label(kind), str(value)]
        if isinstance(value, int):  # ByteSize
            return [_label(kind), int(value)]
        raise NoFormError(f"{where} is a {_label(kind)}, which has no exact form")


def _is_record(kind: type) -> bool:
    return dataclasses.is_dataclass(kind) or hasattr(kind, "__attrs_attrs__")


def _state(value: Any, kind: type) -> Iterator[tuple[str, Any]]:
    """All that an object holds: attributes, slots, what a model keeps aside; no remembered properties."""
    for name, item in getattr(value, "__dict__", {}).items():
        if not isinstance(getattr(kind, name, None), cached_property):
            yield name, item
    for base in kind.__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if not name.startswith("__") and hasattr(value, name):
                yield name, getattr(value, name)
    if isinstance(value, BaseModel):
        yield from (value.__pydantic_extra__ or {}).items()
        yield from (value.__pydantic_private__ or {}).items()


def _label(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def exact_fields(
    model: BaseModel, without: Collection[str], classes: set[type] | None = None
) -> dict[str, Json]:
    """The exact form of each field of a model by its name; what else it holds comes under its own name.

    Args:
        model: an operator, say.
        without: names to leave out.
        classes: as in `exact`.

    Raises:
        NoFormError: names the param.
    """
    values = model.__dict__
    if (
        model.__pydantic_private__
        or model.__pydantic_extra__
        or len(values) != len(type(model).__pydantic_fields__)  # remembered properties
    ):
        values = dict(_state(model, type(model)))
    form: dict[str, Json] = {}
    for name, value in values.items():
        kind = type(value)
        if name in without:
            continue
        if kind in _SELF or ((kind is float or kind is int) and -_SMALL < value < _SMALL):
            form[name] = value
        else:
            form[name] = exact(value, f"params.{name}", classes)
    return form
