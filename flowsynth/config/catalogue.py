"""What can be asked for by name, with a line about each out of its file's own header; nothing is composed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from flowsynth.config.folders import MAIN, search_path

#: Kind -> the group that it is chosen from.
GROUPS = {"graphs": "graph", "experiments": "experiment", "models": "model", "inputs": "input"}
#: Of a file that is looked at for its header.
_HEADER_BYTES = 4096
_DESCRIPTION = re.compile(r"^description:[ \t]*([^\s>|].*?)[ \t]*$", re.MULTILINE)
#: The end of a sentence: what follows begins another one.
_SENTENCE = re.compile(r"(?<=[.:])\s+(?=[A-Z])")


class Entry(NamedTuple):
    """Something with a name.

    Attributes:
        name: as it is asked for.
        summary: a line about it; empty where its file says none.
        path: its file.
        own: whether it is the user's, not shipped.
    """

    name: str
    summary: str
    path: Path
    own: bool


def entries(kind: str, cwd: Path | None = None) -> list[Entry]:
    """What there is of a kind, sorted; the user's own come before shipped ones of the same name.

    Args:
        kind: one of `GROUPS`.
        cwd: the folder whose ``graphs/`` and ``conf/`` come before the shipped ones; the current one if None.
    """
    found: dict[str, Entry] = {}
    for name, path, own in _files(kind, cwd):
        found.setdefault(name, Entry(name, _summary(kind, path), path, own))
    return sorted(found.values())


def names(kind: str, cwd: Path | None = None) -> list[str]:
    """The names alone, sorted; no file is opened."""
    return sorted({name for name, _, _ in _files(kind, cwd)})


def _files(kind: str, cwd: Path | None) -> Iterator[tuple[str, Path, bool]]:
    places = search_path(cwd)
    for place in places:
        folder = place.graphs if kind == "graphs" else place.conf / GROUPS[kind]
        for path in folder.glob("*.yaml"):
            if path.stem != MAIN and path.is_file():
                yield path.stem, path, place is not places[-1]


def _summary(kind: str, path: Path) -> str:
    """A graph's description; of others the first sentence of their header, of models up to the licence."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(_HEADER_BYTES)
    except OSError:
        return ""
    if kind == "graphs" and (described := _DESCRIPTION.search(text)):
        return described[1].strip("'\"")
    sentences = _SENTENCE.split(_header(text))
    licence = next((i for i, part in enumerate(sentences) if part.startswith("Licence:")), -1)
    kept = sentences[: licence + 1 or 1]
    if licence >= 0 and kept[-1] == "Licence:":
        kept += sentences[licence + 1 : licence + 2]
    return " ".join(kept).rstrip(":")


def _header(text: str) -> str:
    """The first paragraph of the comment that a file begins with."""
    lines: list[str] = []
    for line in text.splitlines():
        said = line.removeprefix("#").strip()
        if not line.startswith("#") or (lines and (not said or line.startswith("#   "))):
            break
        if said and not said.startswith("@package"):
            lines.append(said)
    return " ".join(lines)
