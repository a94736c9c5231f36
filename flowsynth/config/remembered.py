"""Compositions that are kept, so that asking for the same again needs no Hydra: as JSON, and only one's own.

A composition depends on what is asked for, on every YAML file and folder of the search path, and on our code.
All of that is its name, contents of files included; so whatever is changed, added or taken away, another name
is looked for. What reads anything else (the environment, resolvers that others registered) is not kept.

They lie beside the cache, not in it: who may write a cache must not choose where a run reads and writes.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from blake3 import blake3

from flowsynth._version import __version__
from flowsynth.cache.location import default_cache_dir
from flowsynth.cache.platform import remove_file, temp_name
from flowsynth.config.folders import Folders
from flowsynth.core.keys import library_version

#: More files, or more bytes of them, are no longer read more quickly than they are composed.
_MOST_FILES, _MOST_BYTES = 1000, 2 << 20
#: Compositions that are kept; the oldest go.
_MOST_KEPT = 100
#: What of a composition is kept.
PARTS = ("graph", "values", "experiments")
#: What may read something else: any resolver that is not one of these, and a sign that is hidden.
_OUTSIDE = re.compile(
    rb"\$\{\s*(?!(?:max|min|oc\.decode|oc\.select|oc\.create|oc\.deprecated|oc\.dict\.keys|oc\.dict\.values)\s*:)"
    rb"[^{}:]*(?::|\$\{)|\\(?:x24|u0024|U00000024)"
)


def folder() -> Path:
    """Where compositions lie."""
    cache = default_cache_dir().absolute()
    return cache.with_name(f"{cache.name}-requests")


def name_of(overrides: Sequence[str], places: Iterable[Folders]) -> str | None:
    """What a composition depends on, as a name; None where it can't be told.

    Args:
        overrides: as typed.
        places: the search path.
    """
    hasher = blake3()
    told = [__version__, *map(library_version, ("hydra-core", "omegaconf", "pyyaml")), *overrides]
    if any(_OUTSIDE.search(line.encode("utf-8", "surrogateescape")) for line in overrides):
        return None
    hasher.update(json.dumps([told, list(_code())]).encode())
    left = [_MOST_FILES, _MOST_BYTES]
    try:
        for place in places:
            for root in (place.conf, place.graphs):
                hasher.update(f"place {root}\n".encode("utf-8", "surrogateescape"))
                for said, content in _files(str(root), left):
                    if _OUTSIDE.search(content):
                        return None
                    hasher.update(f"{said} {len(content)}\n".encode("utf-8", "surrogateescape"))
                    hasher.update(content)
    except (OSError, ValueError):
        return None
    return hasher.hexdigest(20)


def _files(root: str, left: list[int]) -> Iterator[tuple[str, bytes]]:
    """Folders and YAML files below a folder in an order of their own, and what is in the files.

    Raises:
        ValueError: there are too many, or there is too much in them.
    """
    try:
        entries = sorted(os.scandir(root), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        left[0] -= 1
        if entry.is_dir():
            yield f"folder {entry.path}", b""
            yield from _files(entry.path, left)
        elif entry.name.endswith(".yaml"):
            left[1] -= entry.stat().st_size
            if min(left) < 0 or not entry.is_file():
                raise ValueError("too much to look at")
            yield f"file {entry.path}", Path(entry.path).read_bytes()
        if min(left) < 0:
            raise ValueError("too much to look at")


def _code() -> Iterator[list[Any]]:
    """The code that composes: a checkout changes without a version."""
    here = Path(__file__).parent
    for part in (here, here.with_name("core")):
        for entry in sorted(os.scandir(part), key=lambda entry: entry.name):
            if entry.name.endswith(".py"):
                found = entry.stat()
                yield [entry.name, found.st_size, found.st_mtime_ns]


def recalled(name: str) -> dict[str, Any] | None:
    """What is kept under a name; None where nothing is, or somebody else may have written it."""
    place = folder()
    path = place / f"{name}.json"
    try:
        if not (_is_ours(place.lstat()) and _is_ours(path.lstat())):
            return None
        found = json.loads(path.read_bytes())
        path.touch()
    except (OSError, ValueError, RecursionError):
        return None
    whole = isinstance(found, dict) and [*found] == ["name", *PARTS] and found["name"] == name
    kinds = whole and [type(found[part]) for part in PARTS] == [dict, dict, list]
    return found if kinds else None


def _is_ours(found: os.stat_result) -> bool:
    """Whether nobody else can have written a file, or into a folder."""
    if os.name != "posix":
        return True  # it lies in the user's own profile
    plain = stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)
    return plain and found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def remember(name: str, made: dict[str, Any]) -> None:
    """Keep a composition, if it is one that JSON gives back as it is and there is a place for it."""
    if not _is_plain(made):
        return
    place = folder()
    temporary = place / temp_name()
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_ours(place.lstat()):
            return
        text = json.dumps({"name": name, **made}, separators=(",", ":"))
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(text.encode())
        temporary.replace(place / f"{name}.json")
        _thin_out(place)
    except (OSError, ValueError):
        remove_file(temporary)


def _thin_out(place: Path) -> None:
    kept = sorted(place.glob("*.json"), key=lambda path: path.stat().st_mtime)
    for path in kept[:-_MOST_KEPT]:
        remove_file(path)


def _is_plain(value: Any) -> bool:
    """Whether a value is what JSON gives back: every number as it was, every key a text."""
    if isinstance(value, dict):
        return all(type(key) is str and _is_plain(part) for key, part in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if type(value) is float:
        return value - value == 0
    return value is None or type(value) in (str, int, bool)
