"""From overrides with several values to those of every job: Hydra's product, pairs, and ranges of seeds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override
from hydra.errors import HydraException

from flowsynth.core.errors import Fault, GraphError

#: What a paired axis is called in an override, and how its sweep is marked.
ZIP = "zip"
_SEED = re.compile(r"(^|[._])seed$")
_RANGE = re.compile(r"\s*(-?\d{1,18})\s*(?:\.\.\s*(-?\d{1,18})\s*)?")
#: Seeds that are written out one by one where ranges stand in a list.
MOST_IN_A_LIST = 10_000


def add_zip(parser: OverridesParser) -> None:
    """Have a parser take ``KEY=zip(a,b,c)``: all such keys change together, as pairs or triples."""

    def paired(*args: str | int | float | bool | dict[Any, Any] | list[Any]) -> ChoiceSweep:
        if not args:
            raise ValueError("zip of nothing")
        return ChoiceSweep(tags={ZIP}, list=list(args))

    paired.__annotations__ = {}  # Hydra looks at their values, which are texts here
    parser.functions.register(ZIP, paired)


def seeds_line(line: str, faults: list[Fault]) -> str:
    """An override whose value is a range of seeds, ``seed=1..8`` or ``seed=1..4,10``, in Hydra's grammar.

    Args:
        line: an override as typed.
        faults: gets what is wrong with a range.
    """
    key, _, value = line.partition("=")
    if ".." not in value or not _SEED.search(key):
        return line
    spans = [_span(part) for part in value.split(",")]
    found = [span for span in spans if span is not None]
    expected = "FIRST..LAST, whole numbers in this order, such as 1..8 or 1..4,10"
    if len(found) == len(spans) == 1:
        return f"{key}=range({found[0][0]},{found[0][1] + 1})"
    if len(found) == len(spans):
        if sum(last - first + 1 for first, last in found) <= MOST_IN_A_LIST:
            return f"{key}={','.join(str(seed) for first, last in found for seed in range(first, last + 1))}"
        expected = f"one range, or at most {MOST_IN_A_LIST} seeds in a list"
    faults.append(Fault(key, "no range of seeds", expected, repr(value)))
    return f"{key}=0"


def _span(part: str) -> tuple[int, int] | None:
    found = _RANGE.fullmatch(part)
    if found is None:
        return None
    first, last = int(found[1]), int(found[2] or found[1])
    return (first, last) if first <= last else None


def jobs_of(overrides: Sequence[Override]) -> list[list[str]]:
    """The overrides of every job, the last key changing fastest; of a key that comes twice the last counts.

    Raises:
        GraphError: paired axes with different numbers of values.
        HydraException: a sweep that cannot be counted.
    """
    values: dict[str, list[str]] = {}
    pairs: list[str] = []
    for override in overrides:
        key = override.get_key_element()
        values[key] = [f"{key}={value}" for value in values_of(override)]
        pairs = [other for other in pairs if other != key] + ([key] if is_paired(override) else [])
    _same_length({key: values[key] for key in pairs})
    axes: list[list[dict[str, str]]] = []
    for key, lines in values.items():
        if key not in pairs:
            axes.append([{key: line} for line in lines])
        elif key == next(other for other in values if other in pairs):
            axes.append(
                [dict(zip(pairs, row, strict=True)) for row in zip(*(values[k] for k in pairs), strict=True)]
            )
    return [[line for _, line in sorted(_joined(parts), key=_place(values))] for parts in product(*axes)]


def first_of(overrides: Sequence[Override]) -> list[str]:
    """The overrides of a first job, from which the others differ in values only."""
    return [_first(override) for override in overrides]


def _first(override: Override) -> str:
    if not override.is_sweep_override():
        return str(override.input_line)
    value = override.value()
    if isinstance(value, IntervalSweep):
        first: Any = value.start
        if isinstance(value.start, float) or isinstance(value.end, float):
            # No whole number, as most of its values are none: one that has to be is found out at once.
            start, end = float(value.start or 0), float(value.end or 0)
            first = round(start + 0.382 * (end - start), 6)
    else:
        try:
            first = next(_each_value(override), "")  # a billion are not made: they are counted later
        except ValueError:
            line = repr(override.input_line)
            fault = Fault(override.key_or_group, "a range that goes nowhere", "a step other than 0", line)
            raise GraphError([fault], "--multirun") from None
    return f"{override.get_key_element()}={first}"


def _joined(parts: Sequence[dict[str, str]]) -> list[tuple[str, str]]:
    return [item for part in parts for item in part.items()]


def _place(values: dict[str, list[str]]) -> Any:
    places = {key: place for place, key in enumerate(values)}
    return lambda item: places[item[0]]


def values_of(override: Override) -> list[str]:
    """What an override comes to, one line's value each.

    Raises:
        HydraException: a sweep that cannot be counted.
    """
    return list(_each_value(override))


def _each_value(override: Override) -> Iterator[str]:
    if not override.is_sweep_override():
        yield override.get_value_element_as_str()
        return
    if not override.is_discrete_sweep():
        raise HydraException(f"{override.key_or_group}: a sweep that cannot be counted")
    yield from map(_text, override.sweep_iterator())


def _text(value: Any) -> str:
    """A value as a single run reads it. A text that lost its quotes in a function gets them back."""
    text = str(Override._get_value_element_as_str(value))
    return quoted(value) if isinstance(value, str) and text != value else text


def quoted(text: str) -> str:
    """A text in quotes, by Hydra's rule: a backslash counts only before a quote or at the end."""
    text = re.sub(r"(\\*)'", lambda match: match.group(1) * 2 + r"\'", text)
    tail = len(text) - len(text.rstrip("\\"))
    return f"'{text}{chr(92) * tail}'"


def is_paired(override: Override) -> bool:
    """Whether the values of a key go with those of others, one by one: ``zip(...)``."""
    value = override.value() if override.is_sweep_override() else None
    return isinstance(value, ChoiceSweep) and ZIP in value.tags


def _same_length(pairs: dict[str, list[str]]) -> None:
    if len({len(lines) for lines in pairs.values()}) > 1:
        counts = ", ".join(f"{key} has {len(lines)}" for key, lines in pairs.items())
        faults = [Fault(next(iter(pairs)), "zip of different lengths", "as many values for each", counts)]
        raise GraphError(faults, "overrides")
