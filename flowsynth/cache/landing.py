"""Objects that come from elsewhere: nothing is believed of them before all of their bytes were looked at."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from flowsynth.cache import container
from flowsynth.cache.container import StoredObject
from flowsynth.cache.errors import FormatError, write_error
from flowsynth.cache.objects import ObjectStore, make_folder, require_identity
from flowsynth.cache.platform import map_private, remove_file, replace_file, temp_name, write_all

#: No value is larger; what claims to be is not even fetched.
MOST_BYTES = 1 << 36
_HASH = re.compile(r"[0-9a-f]{40}")
_NONSENSE = (ValueError, TypeError, KeyError, ArithmeticError, RecursionError)
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


def land(
    store: ObjectStore, key: str, size: int, parts: Iterable[bytes | memoryview], admit: Callable[[int], bool]
) -> StoredObject:
    """Take an object in, as a file that gets its name when its content is found to be what the name says.

    Args:
        store: where to put it; where that can only be read, the object is had for this once.
        key: its name, the hash of its content.
        size: bytes that it is said to have.
        parts: its file.
        admit: makes room for so many bytes, or says that there is none: then it is had for this once, too.

    Returns:
        The object, mapped.

    Raises:
        FormatError: it is damaged, or another object.
        CacheFull: the disk is full.
        CacheError: the folder cannot be written.
    """
    if not _HASH.fullmatch(key) or not 0 < size <= MOST_BYTES:
        raise FormatError(f"{size:,} bytes are no size of an object")
    folder = tempfile.gettempdir() if store.read_only else str(store.root / "tmp")
    temp = Path(folder, temp_name())
    try:
        try:
            found = _received(temp, key, size, parts)
            if not store.read_only and admit(size):
                target = Path(store.path(key))
                make_folder(target.parent)
                replace_file(temp, target)
        finally:
            remove_file(temp)
    except OSError as error:
        raise write_error(error, temp, size) from error
    return found


def _received(temp: Path, key: str, size: int, parts: Iterable[bytes | memoryview]) -> StoredObject:
    fd = os.open(temp, _FLAGS, 0o666)
    try:
        written = 0
        for part in parts:
            written += len(part)
            if written > size:
                break
            write_all(fd, [part])
        if written != size:
            raise FormatError(f"it has not the {size:,} bytes that it is said to have")
        view = map_private(fd, size)
    finally:
        os.close(fd)
    found = container.open_view(view, key, check=True)
    try:
        require_identity(key, found.codec_name, found.encoded)
    except _NONSENSE as error:
        raise FormatError(f"its header makes no sense ({type(error).__name__})") from None
    return found
