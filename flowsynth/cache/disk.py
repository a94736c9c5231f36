"""diskcache, opened so that it stores text keys and bytes and nothing else.

Imported only where something is written: a look at the index does without it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import diskcache
from diskcache.core import MODE_RAW

from flowsynth.cache import platform
from flowsynth.cache.errors import CacheError

Timeout = diskcache.Timeout
_NEVER = 1 << 62


class BytesDisk(diskcache.Disk):  # type: ignore[misc]
    """Keys are str, values bytes inside the database; unpickling is not there to be reached."""

    def put(self, key: Any) -> tuple[str, bool]:
        """A key as it is stored."""
        if type(key) is not str:
            raise TypeError(f"trace keys are str, given {type(key).__name__}")
        return key, True

    def get(self, key: Any, raw: bool) -> str:
        """A key as it was given."""
        if not raw or type(key) is not str:
            raise CacheError("cache: the index holds a key that this program never writes; not read")
        return key

    def store(self, value: Any, *_: Any, **__: Any) -> tuple[int, int, None, bytes]:
        """A value as it is stored: always in the row, never in a file beside it."""
        if type(value) is not bytes:
            raise TypeError(f"traces are bytes, given {type(value).__name__}")
        return 0, MODE_RAW, None, value

    def fetch(self, mode: int, filename: Any, value: Any, *_: Any) -> bytes:
        """A value as it was given; any other mode (pickles, files) is refused."""
        if mode != MODE_RAW or filename is not None or type(value) is not bytes:
            raise CacheError("cache: the index holds a row that this program never writes; not read")
        return value


def open_index(folder: Path) -> Any:
    """Open diskcache over a folder: no eviction, no culling, a time for locks, nothing in files of its own.

    Raises:
        CacheError: the folder's name would be changed by diskcache.
    """
    text = str(folder)
    if os.path.expandvars(text) != text or text.startswith("~"):
        raise CacheError(f"cache: {text} has a variable in its name; choose another folder")
    seconds = platform.LOCK_SECONDS
    return diskcache.Cache(
        text, timeout=seconds, disk=BytesDisk, eviction_policy="none", cull_limit=0, statistics=0,
        tag_index=0, disk_min_file_size=_NEVER, sqlite_journal_mode="wal", sqlite_synchronous=1,
    )  # fmt: skip
