"""The one JSON text of a value, and what has none."""

import math

import pytest

from flowsynth.core.canonical import canonical_json


def circle(*others: object) -> list[object]:
    made: list[object] = [*others]
    made.append(made)
    return made


def nested(depth: int) -> list[object]:
    made: list[object] = []
    for _ in range(depth):
        made = [made]
    return made


@pytest.mark.parametrize(
    ("value", "text"),
    [({"b": 1, "a": "\u00e9"}, '{"a":"\u00e9","b":1}'), ((1, [True, None]), "[1,[true,null]]"), (0.1, "0.1")],
)
def test_equal_values_have_one_text(value: object, text: str) -> None:
    assert canonical_json(value) == text


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        ([object()], TypeError, r"value\[0\] is a object"),
        ({1: 2}, TypeError, "the key 1; JSON keys are strings"),
        ({"a": [math.inf]}, ValueError, r"value\.a\[0\] is inf"),
        (circle(), ValueError, "refers to itself"),
        (circle(math.nan), ValueError, r"value\[0\] is nan"),
        (nested(200_000), ValueError, "nested too deeply"),
    ],
)
def test_what_is_not_json_is_named_in_a_moment(value: object, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        canonical_json(value)
