"""Words that are no override and names that are paths: what was probably meant by them."""

from __future__ import annotations

from pathlib import Path

from flowsynth.config.catalogue import GROUPS, names
from flowsynth.config.folders import search_path
from flowsynth.core.errors import nearest


def meant(word: str, group: str = "") -> str:
    """The override that someone meant, such as ``graph=mine`` by ``mine`` or ``./graphs/mine.yaml``.

    Args:
        word: what was typed.
        group: what it was given for, such as ``graph``; anything if empty.

    Returns:
        An empty text where nothing of that name is there.
    """
    kinds = [kind for kind, name in GROUPS.items() if group in ("", name)]
    return _by_path(word.strip(), kinds) or _by_name(word.strip(), kinds)


def _by_path(word: str, kinds: list[str]) -> str:
    """A file below ``graphs/`` or ``conf/``, whichever way it is written."""
    if "/" not in word and not word.endswith((".yaml", ".yml")):
        return ""
    path = Path(word if word.endswith(".yaml") else f"{word.removesuffix('.yml')}.yaml")
    folder = path.absolute().parent.resolve()
    for place in search_path():
        for kind in kinds:
            home = place.graphs if kind == "graphs" else place.conf / GROUPS[kind]
            if folder == home.resolve() and (home / path.name).is_file():
                return f"{GROUPS[kind]}={path.stem}"
    return ""


def _by_name(word: str, kinds: list[str]) -> str:
    known = {name: f"{GROUPS[kind]}={name}" for kind in reversed(kinds) for name in names(kind)}
    stem = Path(word).name.removesuffix(".yaml").removesuffix(".yml")
    return known.get(stem, "") or known.get(nearest(stem, known), "")
