"""Overrides as a template of jobs takes them: what sets a plain value apart from what changes the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path as FilePath
from typing import Any, NamedTuple

from flowsynth.config.folders import search_path
from flowsynth.config.interpolation import MISSING
from flowsynth.config.resolvers import Path
from flowsynth.core.errors import RequestError

#: Numbers that Hydra's grammar and Python read alike: a sweep over thousands of them parses none.
_NUMBERS = (
    (re.compile(r"0|-?[1-9][0-9]{0,17}"), "1", int),
    (re.compile(r"-?(?:0|[1-9][0-9]{0,14})\.[0-9]{1,15}"), "1.5", float),
)
_SCALARS = (type(None), bool, int, float, str)


class Line(NamedTuple):
    """An override.

    Attributes:
        shape: what two jobs must have in common for one template: the key, or all of it.
        path: where its value goes; None where more than a value depends on it.
        value: the value.
        chooses: it chooses from a group, and so sets no value by itself.
    """

    shape: str
    path: Path | None = None
    value: Any = None
    chooses: bool = False


class Lines:
    """Reads the overrides of many jobs, each distinct one once.

    Args:
        varying: keys whose values differ between jobs.
        cwd: the folder whose ``graphs/`` and ``conf/`` come before the shipped ones; the current one if None.
    """

    def __init__(self, varying: Collection[str], cwd: FilePath | None = None) -> None:
        from flowsynth.config.hydra_compose import Repository

        self._varying = frozenset(varying)
        self._groups = Repository(search_path(cwd))
        self._known: dict[str, Line | None] = {}

    def of(self, overrides: Sequence[str]) -> list[Line] | None:
        """The lines of a job; None where they are nothing for a template."""
        found = [self._line(text) for text in overrides]
        lines = [line for line in found if line is not None]
        paths = [line.path for line in lines if line.path is not None]
        if len(lines) < len(found) or any(_overlap(paths, line) for line in lines):
            return None
        return lines

    def _line(self, text: str) -> Line | None:
        key, equals, value = text.partition("=")
        if not equals or key.lstrip("+") not in self._varying:
            if not equals and not text.startswith("~"):
                return None  # a stray word
            return self._like(text, self._other)
        for pattern, example, kind in _NUMBERS:
            if pattern.fullmatch(value):
                known = self._like(f"{key}={example}")
                if known is not None and type(known.value) is kind:
                    return known._replace(value=kind(value))
        return self._like(text)

    def _like(self, text: str, read: Callable[[str], Line | None] | None = None) -> Line | None:
        """What a text says, read once."""
        if text not in self._known:
            self._known[text] = (read or self._read)(text)
        return self._known[text]

    def _read(self, text: str) -> Line | None:
        from flowsynth.config.hydra_overrides import hydra_version, parse_overrides

        try:
            with hydra_version():
                override = parse_overrides([text], sweeping=False)[0]
        except RequestError:
            return None  # composition says what is wrong with it
        key, value = override.key_or_group, override.value()
        plain = type(value) in _SCALARS and not (
            isinstance(value, str) and ("${" in value or value == MISSING)
        )
        if override.is_add() or override.is_delete() or override.package is not None or not plain:
            return self._other(text)
        if self._groups.group_exists(key):
            return self._other(text)
        path = tuple(key.replace("]", "").replace("[", ".").split("."))
        return Line(f"{'++' if override.is_force_add() else ''}{key}=", path, value)

    def _other(self, text: str) -> Line:
        """An override that all jobs of a template have as it is."""
        key, _, value = text.partition("=")
        group = key.lstrip("+~").partition("@")[0]
        return Line(text, chooses=self._groups.group_exists(group) and not value.strip().startswith("{"))


def _overlap(paths: Sequence[Path], line: Line) -> bool:
    """Whether an override reaches into, or around, what another one sets: then their order counts."""
    if line.chooses:
        return False
    key = line.shape.partition("=")[0].lstrip("+~").replace("]", "").replace("[", ".").replace("/", ".nodes.")
    own = line.path or tuple(key.split("."))
    return sum(own[: len(path)] == path[: len(own)] for path in paths) > (line.path is not None)
