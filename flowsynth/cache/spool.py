"""Values that wait for their reader in files of their own: no part of the cache, and gone with the run.

What the cache's budget has no room for, and many later tasks need, would else wait in memory. The files bear
temporary names, so that the next open of the cache sweeps those of a killed process.
"""

from __future__ import annotations

import os
from pathlib import Path

from flowsynth.cache import container
from flowsynth.cache.container import StoredObject
from flowsynth.cache.errors import FormatError, write_error
from flowsynth.cache.newfile import NewFiles
from flowsynth.cache.platform import map_private, remove_file, temp_name

#: What the files are called inside; nobody asks for them by name.
_KEY = "spooled"


class Spool:
    """A folder of values that wait. Any number of threads may use it at once."""

    def __init__(self, new: NewFiles) -> None:
        self._new = new

    def write(self, value: StoredObject) -> Path:
        """Put a value into a file.

        Raises:
            CacheFull: the disk is full; nothing is left behind.
            CacheError: the folder cannot be written.
        """
        header, pieces = container.build_header(
            _KEY, value.codec_name, value.codec_version, value.encoded, 0.0
        )
        path = Path(self._new.temp, temp_name())
        size = len(header) + sum(map(len, pieces))
        try:
            self._new.create(str(path), [header, *pieces], size)
        except OSError as error:
            raise write_error(error, path, size) from error
        return path


def read_spooled(path: Path) -> StoredObject | None:
    """Map a value that waits; None where somebody removed or changed its file.

    As in the object store, the tensors are views of a private map, one for each reader.
    """
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return None
    try:
        view = map_private(fd, os.fstat(fd).st_size)
        return container.open_view(view, _KEY, check=False)
    except (OSError, FormatError):
        return None
    finally:
        os.close(fd)


def remove_spooled(path: Path) -> None:
    """Let go of a value; who has it mapped keeps it."""
    remove_file(path)
