# ruff: noqa: E501 - the zoo is a table
"""The exact form of values: all that act differently differ, and what has no form is named."""

from __future__ import annotations

import datetime
import enum
import ipaddress
import math
import re
import threading
import types
import uuid
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import AnyUrl, BaseModel, ByteSize, ConfigDict, Field, PrivateAttr, SecretStr, TypeAdapter

from flowsynth.core.canonical import canonical_json
from flowsynth.core.exact import NoFormError, exact


class Colour(enum.Enum):
    RED = "red"


class Tint(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    ONE = 1


class Flags(enum.Flag):
    A = 1
    B = 2


class Words(str):
    __slots__ = ()


class Tagged(int):
    tag: str


class Shape(BaseModel):
    model_config = ConfigDict(extra="allow")
    size: int = 0
    hidden: int = Field(default=0, exclude=True)
    _seen: int = PrivateAttr(0)

    @cached_property
    def area(self) -> int:
        """Derived."""
        return self.size**2


class Circle(Shape):
    pass


@dataclass
class Point:
    x: float = 0.0
    near: list[Any] = field(default_factory=list, repr=False, compare=False)


@dataclass(slots=True)
class Slotted:
    x: float = 0.0


@dataclass
class Other(Point):
    pass


Pair = namedtuple("Pair", "a b")


def tagged(value: int, tag: str) -> Tagged:
    made = Tagged(value)
    made.tag = tag
    return made


def seen(count: int) -> Shape:
    made = Shape()
    made._seen = count
    return made


ZOO: list[Any] = [
    None, True, False, 0, 1, -1, 10**40, 10**6000, 1.0, 0.0, -0.0, math.nan, math.inf, -math.inf, 1e-320,
    "", "1", "true", "\ud800", b"", b"1", bytearray(b"1"), 1j, 1 + 0j, Decimal("1.0"), Decimal("1.00"), Fraction(1),
    [], [1], [[1]], (), (1,), ((1,),), {1}, frozenset({1}), {"a": 1}, {"a": None}, {}, {1: "a"}, {"1": "a"},
    {"b": 1, "a": 2}, {"a": 2, "b": 1}, OrderedDict(a=2, b=1), OrderedDict(b=1, a=2), Counter("a"),
    defaultdict(list, a=1), defaultdict(int, a=1), types.MappingProxyType({"a": 1}), deque([1]), deque([1], 3),
    Colour.RED, Tint.RED, "red", Level.ONE, Flags.A, Flags.A | Flags.B, Words("red"), tagged(1, "a"), tagged(1, "b"),
    Shape(), Shape(size=1), Shape(hidden=1), Shape(more=1), seen(1), Circle(), Circle(size=1), {"size": 0},
    Point(), Point(near=[1]), Point(near=[(1,)]), Other(), Slotted(), Slotted(1.0), Pair(1, 2), (1, 2), [1, 2],
    Path("a"), PurePosixPath("a"), "a", Path("b"), uuid.UUID(int=1), range(3), range(0, 3, 2), slice(3), ...,
    datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc),
    datetime.datetime(2020, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")), datetime.datetime(2020, 1, 1, fold=1),
    datetime.time(1), datetime.timedelta(1), datetime.timedelta(0, 1), re.compile("a"), re.compile("a", re.I),
    re.compile(b"a"), ipaddress.ip_address("1.2.3.4"), ipaddress.ip_network("1.2.3.4"), "1.2.3.4",
    SecretStr("a"), SecretStr("b"), AnyUrl("http://a"), "http://a/", TypeAdapter(ByteSize).validate_python("1"),
    ["!", "tuple", []], ["!", "dict", []], ["!"], {"!": 1},
]  # fmt: skip


def test_no_two_of_them_have_one_form() -> None:
    forms: dict[str, Any] = {}
    for value in ZOO:
        text = canonical_json(exact(value))
        assert text not in forms, (value, forms[text])
        forms[text] = value
        again = canonical_json(exact([value])), canonical_json(exact({"a": value}))
        assert len({text, *again}) == 3


def test_equal_ones_have_one_form_whatever_their_history() -> None:
    big, small = set(range(100)), {1, 2}
    big.intersection_update(small)
    assert exact(big) == exact({2, 1})
    warmed = Shape(size=3)
    assert warmed.area == 9
    assert exact(warmed) == exact(Shape(size=3)) == exact(Shape(hidden=0, size=3))
    assert exact(Shape().model_copy(update={"size": 3})) == exact(Shape(size=3))
    assert exact({"a": 1, "b": [1.5, "x", None]}) == {"a": 1, "b": [1.5, "x", None]}


def test_a_secret_is_in_no_form() -> None:
    assert "hunter2" not in canonical_json(exact({"password": SecretStr("hunter2")}))


def test_classes_with_code_of_their_own_are_told() -> None:
    classes: set[type] = set()
    exact([Circle(), {"a": Point(near=[Colour.RED])}, Pair(1, 2), 3, Path("a")], classes=classes)
    assert classes == {Circle, Point, Colour, Pair}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"f": [len]}, r"value\.f\[0\] is a builtins\.builtin_function_or_method, which has no exact form"),
        (Shape(lock=threading.Event()), r"value\.lock is a threading\.Event"),
        ([int], r"value\[0\] is a builtins\.type"),
        (defaultdict(lambda: 1), r"value is a collections\.defaultdict"),
        (datetime.datetime(2020, 1, 1, tzinfo=type("Odd", (datetime.tzinfo,), {})()), r"value\.tzinfo is a"),
    ],
)
def test_what_has_no_form_is_named(value: Any, words: str) -> None:
    with pytest.raises(NoFormError, match=words):
        exact(value)


def test_what_holds_itself_is_refused() -> None:
    ring: list[Any] = []
    ring.append(ring)
    with pytest.raises(NoFormError, match="holds itself"):
        exact(ring)
