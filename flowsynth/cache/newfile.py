"""Files that get their name when they are whole, so that nobody ever opens a part of one.

Linux can write a file that has no name yet (``O_TMPFILE``) and give it one afterwards: a killed process
leaves nothing behind, and no folder but the file's own is touched. Where the system or the disk cannot do
that (macOS, Windows, network disks), it is a temporary file and a rename, and the next open sweeps.
See open(2) and linkat(2).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

from flowsynth.cache.platform import remove_file, replace_file, reserve, temp_name, write_all

_FLAGS = os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT))
#: Smaller files gain nothing from having their room set aside.
_RESERVE = 1 << 18
#: Where a file without a name can be got hold of, to name it.
_OPEN_FILES = "/proc/self/fd/"

_P = ParamSpec("_P")
_T = TypeVar("_T")
Pieces = Sequence[memoryview | bytes]


class NewFiles:
    """Writes whole files, in folders that it makes if need be; any number of threads may at once.

    Attributes:
        temp: folder of the temporary files, on the same disk as the targets.
        unnamed: files are written without a name; turned off for good when that turns out not to work.
    """

    def __init__(self, temp: str) -> None:
        self.temp = temp
        self.unnamed = hasattr(os, "O_TMPFILE") and Path(_OPEN_FILES).is_dir()
        self._unnamed_flags = _FLAGS | getattr(os, "O_TMPFILE", 0)

    def create(self, path: str, pieces: Pieces, size: int) -> bool:
        """Write buffers one after another into a new file; False: there is one of that name, and it stays.

        Args:
            path: the file.
            pieces: its bytes.
            size: how many they are.

        Raises:
            OSError: it cannot be written; nothing is left behind.
        """
        try:
            if self.unnamed and self._link(path, pieces, size):
                return True
        except FileExistsError:
            return False
        if os.access(path, os.F_OK):
            return False
        self.replace(path, pieces, size)
        return True

    def replace(self, path: str, pieces: Pieces, size: int) -> None:
        """Write a file in the place of one of that name, if any; else as :meth:`create`."""
        temp = Path(self.temp, temp_name())
        try:
            fd = _in_folder(self.temp, os.open, temp, _FLAGS | os.O_CREAT | os.O_EXCL, 0o666)
            try:
                _fill(fd, pieces, size)
            finally:
                os.close(fd)
            _in_folder(path.rpartition(os.sep)[0], replace_file, temp, path)
        except BaseException:
            remove_file(temp)
            raise

    def _link(self, path: str, pieces: Pieces, size: int) -> bool:
        """Write without a name, then name it; False: that cannot be done here.

        Raises:
            FileExistsError: there is a file of that name.
            OSError: the disk is full, or another failure while writing.
        """
        folder = path.rpartition(os.sep)[0]
        try:
            fd = _in_folder(folder, os.open, folder, self._unnamed_flags, 0o666)
        except OSError as error:
            return self._refused(error)
        try:
            _fill(fd, pieces, size)
            try:  # with a folder given, Python follows the link in /proc
                os.link(f"{_OPEN_FILES}{fd}", path, src_dir_fd=fd)
            except FileExistsError:
                raise
            except OSError as error:
                return self._refused(error)
            return True
        finally:
            os.close(fd)

    def _refused(self, error: OSError) -> bool:
        """Why a file without a name was refused: the other way says best what is wrong, if anything is."""
        if error.errno in _NO_ROOM:
            raise error
        self.unnamed = False
        return False


def _in_folder(folder: str, act: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Do something in a folder, which is made if it isn't there."""
    try:
        return act(*args, **kwargs)
    except FileNotFoundError:  # the first of its folder, or somebody cleared the cache under us
        Path(folder).mkdir(parents=True, exist_ok=True)
        return act(*args, **kwargs)


def _fill(fd: int, pieces: Pieces, size: int) -> None:
    if size >= _RESERVE:
        reserve(fd, size)
    write_all(fd, pieces)
