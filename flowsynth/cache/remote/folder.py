"""A folder that several machines mount, as a place: ``file:///mnt/share/cache``."""

from __future__ import annotations

import os
import stat as modes
from collections.abc import Iterator
from pathlib import Path

from flowsynth.cache.errors import FormatError
from flowsynth.cache.newfile import NewFiles
from flowsynth.cache.objects import open_regular
from flowsynth.cache.platform import sweep
from flowsynth.cache.remote.place import MARK, PART, DeniedError, GoneError, Got, PlaceError


class FolderPlace:
    """A folder as a place. Links in it are not followed, nothing but regular files is read.

    Args:
        folder: where it is, or will be: the folder above it must exist (else a disk is not mounted).
        make: make the folder if it isn't there; else it is read as an empty one.

    Raises:
        PlaceError: it is no folder and cannot be made, or holds other files.
    """

    def __init__(self, folder: Path, make: bool = True) -> None:
        self._root = folder
        self._new = NewFiles(str(folder / "tmp"))
        self._to_come = not make and not folder.exists() and folder.parent.is_dir()
        try:
            if make and not folder.exists():
                folder.mkdir()
            if not self._to_come and not (folder / MARK).exists() and any(folder.iterdir()):
                raise GoneError("it is a folder with other files")
        except OSError as error:
            raise _named(error) from error
        if make:
            sweep(folder / "tmp")

    def get(self, name: str) -> Got | None:
        """What lies under a name, or None."""
        try:
            fd = open_regular(str(self._root / name))
        except FileNotFoundError:
            self._require_folder()
            return None
        except FormatError as error:
            raise GoneError(str(error)) from None
        except OSError as error:
            raise _named(error) from error
        return Got(os.fstat(fd).st_size, _parts(fd))

    def size(self, name: str) -> int | None:
        """How many bytes lie under a name, or None."""
        try:
            stat = os.lstat(self._root / name)
        except FileNotFoundError:
            self._require_folder()
            return None
        except OSError as error:
            raise _named(error) from error
        return stat.st_size if modes.S_ISREG(stat.st_mode) else None

    def put(self, name: str, data: bytes | memoryview) -> None:
        """Write a file in full, then give it its name."""
        self._require_folder()
        try:
            self._new.replace(str(self._root / name), [data], len(data))
        except OSError as error:
            raise _named(error) from error

    def _require_folder(self) -> None:
        """Tell a name that is not there from a folder that is gone.

        Raises:
            GoneError: the folder is gone.
        """
        if not self._to_come and not self._root.is_dir():
            raise GoneError("the folder is gone")


def _parts(fd: int) -> Iterator[bytes]:
    try:
        while part := os.read(fd, PART):
            yield part
    except OSError as error:
        raise _named(error) from error
    finally:
        os.close(fd)


def _named(error: OSError) -> PlaceError:
    kind = DeniedError if isinstance(error, PermissionError) else GoneError
    return kind(error.strerror or type(error).__name__)
