"""Fingerprints remembered from one process to the next, each checked by its files' content."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from flowsynth.core.fingerprint.files import Finder, Reader

_FORMAT = f"flowsynth fingerprints 1, Python {sys.version_info.major}.{sys.version_info.minor}"
_MOST = 4096
"""Entries kept, so that a memo used for years stays small."""
_MADE: dict[str, Entry] = {}
"""What this process found out, for all its memos; files are looked at as for what is on disk."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A finished fingerprint, its parts, and the modules it came from (None: there was none)."""

    fingerprint: str
    parts: dict[str, str]
    places: dict[str, tuple[str, str] | None]


@dataclass
class _Store:
    """What is on disk, in tables so that a file or a part shared by many operators is written once."""

    path: Path | None
    entries: dict[str, Any] = field(default_factory=dict)
    places: list[Any] = field(default_factory=list)
    parts: list[Any] = field(default_factory=list)
    fresh: dict[str, Entry] = field(default_factory=dict)
    read_only: bool = False

    def load(self) -> None:
        """Read the file; a missing, foreign or damaged one counts as empty."""
        if self.path is None:
            return
        try:
            data = json.loads(self.path.read_bytes())
            if data["format"] == _FORMAT:
                self.entries, self.places, self.parts = (
                    dict(data["entries"]),
                    list(data["places"]),
                    list(data["parts"]),
                )
        except (OSError, ValueError, KeyError, TypeError):
            return

    def entry(self, key: str) -> Entry | None:
        """A stored entry, unchecked against the files."""
        try:
            row = self.entries[key]
            places = [self.places[i] for i in row["places"]]
            parts = [self.parts[i] for i in row["parts"]]
            return Entry(
                str(row["fingerprint"]),
                {str(label): str(digest) for label, digest in parts},
                {
                    str(name): None if path is None else (str(path), str(digest))
                    for name, path, digest in places
                },
            )
        except (KeyError, IndexError, TypeError, ValueError):
            return None

    def save(self) -> None:
        """Write what is known, by a temporary file and a rename. Failing to is no error."""
        if self.path is None or self.read_only or not self.fresh:
            return
        self.load()  # another process may have written since
        kept = {key: entry for key in self.entries if (entry := self.entry(key)) is not None}
        kept.update(self.fresh)
        kept = dict(list(kept.items())[-_MOST:])
        text = json.dumps(_tables(kept), separators=(",", ":"))
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _replace(self.path, text)
        self.fresh.clear()


def _tables(entries: dict[str, Entry]) -> dict[str, Any]:
    places: dict[tuple[str, str | None, str | None], int] = {}
    parts: dict[tuple[str, str], int] = {}
    rows = {}
    for key, entry in entries.items():
        of_places = [(n, *(p if p is not None else (None, None))) for n, p in entry.places.items()]
        rows[key] = {
            "fingerprint": entry.fingerprint,
            "places": [places.setdefault(p, len(places)) for p in of_places],
            "parts": [parts.setdefault(p, len(parts)) for p in entry.parts.items()],
        }
    return {"format": _FORMAT, "entries": rows, "places": list(places), "parts": list(parts)}


def _replace(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(prefix=path.name, suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class FingerprintMemo:
    """A snapshot of the source files at one moment, with what earlier processes found.

    Every file is read and hashed at most once by one memo, so `look_again` before each plan of a long-lived
    process. What is new is written by `save`, at the end of a `with` block, or when the memo goes away.

    Args:
        path: the JSON file to keep fingerprints in, made with its folder when needed; None keeps nothing.
        read_only: use what the file holds and never write it, for a look at somebody's cache.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, read_only: bool = False) -> None:
        self.finder = Finder()
        self.reader = Reader()
        self._store = _Store(None if path is None else Path(path))
        self._store.load()
        self._known: dict[str, Entry] = {}
        self._current: dict[tuple[str, tuple[str, str] | None], bool] = {}
        self._store.read_only = read_only
        self._finalizer = weakref.finalize(self, self._store.save)

    def look_again(self) -> None:
        """Forget what files held, since they may have changed; what is on disk stays as it was read."""
        self.finder = Finder()
        self.reader = Reader()
        self._known.clear()
        self._current.clear()

    def get(self, key: str) -> Entry | None:
        """The entry of a key if every file it was made from still holds the same text."""
        entry = self._known.get(key)
        if entry is None:
            entry = self._still(self._store.fresh.get(key) or self._store.entry(key))
            if entry is None and (made := self._still(_MADE.get(key))) is not None:
                self._store.fresh[key] = entry = made
            if entry is not None:
                self._known[key] = entry
        return entry

    def put(self, key: str, entry: Entry) -> None:
        """Remember an entry."""
        self._known[key] = entry
        self._store.fresh[key] = entry
        _MADE.pop(key, None)
        _MADE[key] = entry
        while len(_MADE) > _MOST:
            _MADE.pop(next(iter(_MADE)), None)

    def save(self) -> None:
        """Write what is new to disk, atomically."""
        self._store.save()

    def _still(self, entry: Entry | None) -> Entry | None:
        """An entry whose files hold what they held."""
        if entry is None or not all(self._holds(name, place) for name, place in entry.places.items()):
            return None
        return entry

    def _holds(self, name: str, place: tuple[str, str] | None) -> bool:
        answer = self._current.get((name, place))
        if answer is None:
            answer = self._current[name, place] = self._check(name, place)
        return answer

    def _check(self, name: str, place: tuple[str, str] | None) -> bool:
        found = self.finder.find(name)
        if place is None or found is None:
            return place is None and found is None
        if found.path != place[0]:
            return False
        try:
            return self.reader.read(found.path, name)[0] == place[1]
        except OSError:
            return False

    def __enter__(self) -> FingerprintMemo:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.save()
