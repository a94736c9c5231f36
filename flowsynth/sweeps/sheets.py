"""Which job is where on the grids of a sweep: two axes a sheet, further axes as more sheets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from flowsynth.core.errors import RequestError, did_you_mean, listing
from flowsynth.core.record import JobRecord, SweepRecord


@dataclass(slots=True)
class Axis:
    """What changes along rows, columns or sheets: one key, or several that change together.

    Attributes:
        keys: the keys.
        values: what they take, in order of appearance.
    """

    keys: tuple[str, ...]
    values: list[tuple[str | None, ...]] = field(default_factory=list)

    def of(self, row: JobRecord) -> tuple[str | None, ...]:
        """A job's values."""
        return tuple(row.axes.get(key) for key in self.keys)


@dataclass(slots=True)
class Sheet:
    """One grid.

    Attributes:
        name: of its files.
        cells: rows of jobs; None where there is none.
    """

    name: str
    cells: list[list[JobRecord | None]]


def axes_of(record: SweepRecord) -> list[Axis]:
    """The axes of a sweep; keys whose values go together (`zip`) are one."""
    found: list[Axis] = []
    for key in record.axes:
        together = next((axis for axis in found if _go_together(record.jobs, axis.keys[0], key)), None)
        if together is not None:
            together.keys += (key,)
        else:
            found.append(Axis((key,)))
    for axis in found:
        axis.values = list(dict.fromkeys(axis.of(row) for row in record.jobs))
    return found


def _go_together(rows: Sequence[JobRecord], first: str, second: str) -> bool:
    pairs = {(row.axes.get(first), row.axes.get(second)) for row in rows}
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def sheets_of(record: SweepRecord, rows: str = "", columns: str = "") -> list[Sheet]:
    """The sheets of a sweep: two axes each, and one for all values of the others.

    Args:
        record: the table.
        rows: the key that changes from row to row; the last axis but one unless given.
        columns: the key that changes along a row; the last axis unless given.

    Raises:
        RequestError: a key that is no axis; two jobs in one place.
    """
    axes = axes_of(record)
    chosen = _named(axes, rows)
    across = _named(axes, columns) or _last(axes, chosen)
    down = chosen or _last(axes, across)
    if across is down and across.keys:
        raise RequestError(f"--rows and --columns: {rows} and {columns} go together; expected two axes")
    others = [axis for axis in axes if axis is not across and axis is not down]
    places: dict[tuple[object, ...], JobRecord] = {}
    for row in record.jobs:
        place = (tuple(axis.of(row) for axis in others), down.of(row), across.of(row))
        if place in places:
            raise RequestError(f"jobs {places[place].job} and {row.job} have the same values on all axes")
        places[place] = row
    keys = list(dict.fromkeys(place[0] for place in places))
    return [
        Sheet(
            "" if len(keys) == 1 else f"_{number}",
            [[places.get((key, d, a)) for a in across.values or [()]] for d in down.values or [()]],
        )
        for number, key in enumerate(keys)
    ]


def _last(axes: Sequence[Axis], other: Axis | None) -> Axis:
    return next((axis for axis in reversed(axes) if axis is not other), Axis(()))


def _named(axes: Sequence[Axis], key: str) -> Axis | None:
    if not key:
        return None
    found = next((axis for axis in axes for own in axis.keys if key in (own, own.rpartition(".")[2])), None)
    if found is None:
        keys = [own for axis in axes for own in axis.keys]
        hint = did_you_mean(key, keys)
        raise RequestError(f"{key}: no axis of this sweep; expected one of {listing(keys)}{hint}")
    return found
