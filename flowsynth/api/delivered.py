"""Files that earlier runs delivered: where one lies as it was written, it need not be made again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from flowsynth.cache.errors import CacheError
from flowsynth.core.canonical import digest_parts
from flowsynth.core.errors import InputError
from flowsynth.core.filehash import file_hash

if TYPE_CHECKING:
    from flowsynth.cache.store import Cache


class Delivered:
    """Remembers the content of single files by what they were to be.

    Args:
        cache: in whose index.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def find(self, told: str, folder: Path) -> str | None:
        """Name of the file in a folder that is what it was to be; None where there is none such.

        Args:
            told: all that decides what the file holds, but for when it was made.
            folder: where it would lie.
        """
        row = self._cache.lookup(_row(told))
        try:
            name, content = json.loads(row) if row else ("", "")
            path = folder / name
            plain = name == Path(name).name and path.is_file() and not path.is_symlink()
            return name if plain and file_hash(path) == content else None
        except (OSError, ValueError, TypeError, InputError):
            return None

    def note(self, told: str, folder: Path, name: str) -> None:
        """Remember a file that has been written; several, or one in a folder of its own, are passed over."""
        if self._cache.read_only or name != Path(name).name:
            return
        try:
            row = json.dumps([name, file_hash(folder / name)]).encode()
            self._cache.record(_row(told), row, 0.0)
        except (OSError, CacheError, InputError):
            return


def _row(told: str) -> str:
    return f"delivered:{digest_parts([told])}"
