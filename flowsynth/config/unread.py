"""What a user wrote and nothing reads: a typo in an experiment, a setting that this graph has no use for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from flowsynth.config.interpolation import shown_path
from flowsynth.config.resolvers import Path
from flowsynth.config.settings import Settings
from flowsynth.core.errors import Fault, listing, nearest

#: Checked by those who read them: the graph by its checker, the others by `flowsynth.config.doors`.
_CHECKED_ELSEWHERE = ("graph", "hydra", "sweep")


@dataclass(frozen=True, slots=True)
class Written:
    """Something that a user asked for.

    Attributes:
        where: what stands before its path in messages: a file, or nothing of an override.
        path: where its values lie in the configuration.
        value: what it sets there; a mapping is checked value by value.
        whole: whether it is enough that any of it is read, as of a model chosen by name.
        advice: what would be right, if that is known better than by the names there are.
    """

    where: str
    path: Path
    value: Any
    whole: bool = False
    advice: str = ""


def unread_faults(
    written: Sequence[Written], reads: Collection[Path], mentions: Collection[Path], graph: str
) -> list[Fault]:
    """Everything written that acts on nothing.

    Args:
        written: what was asked for.
        reads: the places that the graph reads.
        mentions: the places that files name; what a file sets may be read by what an override replaced.
        graph: its name.
    """
    names = _names(reads)
    return [
        _fault(item, path, value, names, graph)
        for item in written
        for path, value in ([(item.path, item.value)] if item.whole else leaves(item.path, item.value))
        if not (_acts(path, reads) or (item.where and _acts(path, mentions)))
    ]


def _acts(path: Path, reads: Collection[Path]) -> bool:
    if path[0] in _CHECKED_ELSEWHERE or path[0] in Settings.model_fields:
        return True
    return any(path[: len(read)] == read[: len(path)] for read in reads)


def leaves(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    """The values in a mapping of mappings, each with its place."""
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from leaves((*path, str(key)), part)
    elif path:
        yield path, value


def _names(reads: Collection[Path]) -> list[str]:
    read = {shown_path(path) for path in reads if path[0] not in _CHECKED_ELSEWHERE}
    return sorted(read) + sorted(Settings.model_fields)


def _fault(item: Written, path: Path, value: Any, names: list[str], graph: str) -> Fault:
    name = shown_path(path)
    given = repr(value)
    shown = given if len(given) <= 80 else given[:77] + "..."
    message, expected = f"nothing in the graph {graph!r} reads it", f"one of {listing(names, 40)}"
    return Fault(item.where + name, message, item.advice or expected, shown, nearest(name, names))
