"""The few calls that differ between Linux, macOS and Windows, one function each."""

from __future__ import annotations

import ctypes
import errno
import itertools
import mmap
import os
import re
import socket
import sys
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from flowsynth.cache.errors import CacheError

_counter = itertools.count()
#: The names of our temporary files.
TEMP = r"(?P<host>[A-Za-z0-9-]+)\.(?P<pid>\d+)\.\d+\.tmp"
_TEMP = re.compile(TEMP)
#: Those of a hidden file beside the one that it is to become.
_HIDDEN = re.compile(rf"\..*\.{TEMP}")
#: Buffers that one call may gather.
_IOV_MAX = 1000
#: Seconds after which a temporary file is swept whoever wrote it.
OLD_SECONDS = 24 * 3600.0
#: How long the index may be locked by another process before that is an error.
LOCK_SECONDS = 60.0


@lru_cache(maxsize=1)
def host_tag() -> str:
    """Names the space in which a process id means something: the host and its pid namespace."""
    try:
        space = str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        space = "0"
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname()) + "-" + space


def temp_name() -> str:
    """A file name no other thread, process or host uses, from which a sweep knows its owner."""
    return f"{host_tag()}.{os.getpid()}.{next(_counter)}.tmp"


def process_alive(pid: int) -> bool:
    """Whether a process of this host runs; one that may not be signalled does."""
    if os.name != "posix":
        import psutil

        return psutil.pid_exists(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def is_orphan(path: Path, hidden: bool = False) -> bool:
    """Whether a file is a temporary one of ours, and its writer dead or it too old for any to be at it.

    Args:
        path: the file.
        hidden: its name is ``.NAME.`` and `temp_name`, not that alone.
    """
    named = (_HIDDEN if hidden else _TEMP).fullmatch(path.name)
    if not named:
        return False  # somebody else's
    if named["host"] == host_tag() and not process_alive(int(named["pid"])):
        return True
    try:
        return time.time() - path.lstat().st_mtime > OLD_SECONDS
    except OSError:
        return False


def sweep(folder: Path, hidden: bool = False) -> int:
    """Delete the temporary files that killed processes left in a folder; returns how many.

    Args:
        folder: a folder; a link to one is left alone.
        hidden: as in `is_orphan`.
    """
    try:
        if folder.is_symlink():
            return 0
        orphans = [path for path in folder.iterdir() if is_orphan(path, hidden)]
    except OSError:
        return 0
    return sum(remove_file(path) for path in orphans)


def replace_file(source: Path | str, target: Path | str) -> None:
    """Rename over a file in one step.

    Windows refuses while somebody has the target mapped. Objects are named by their content, so the one
    that is there is as good: the new file is dropped.
    """
    try:
        os.replace(source, target)  # noqa: PTH105  (a Path object costs as much as the rename)
    except PermissionError:
        if os.name == "posix" or not Path(target).is_file():
            raise
        remove_file(Path(source))


def remove_file(path: Path) -> bool:
    """Delete a file; False when it is gone already or (on Windows) still open somewhere."""
    try:
        path.unlink()
    except OSError:
        return False
    return True


def reserve(fd: int, size: int) -> None:
    """Have the disk set aside room for a file at once.

    A full disk is found before anything is written, and the write itself becomes 10 % cheaper (ext4).
    Where that is not to be had, nothing happens.

    Raises:
        OSError: there is no room.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(fd, 0, size)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            raise


def write_all(fd: int, pieces: Sequence[memoryview | bytes]) -> None:
    """Write buffers one after another without joining them, whatever the system takes in one call."""
    if not hasattr(os, "writev"):
        for piece in pieces:
            view = memoryview(piece)
            while view.nbytes:
                view = view[os.write(fd, view) :]
        return
    rest = list(pieces)
    while rest:
        written = os.writev(fd, rest[:_IOV_MAX])
        while rest and written >= len(rest[0]):
            written -= len(rest.pop(0))
        if rest and written:
            rest[0] = memoryview(rest[0])[written:]


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock file while the index is created or set aside; the system frees it on death."""
    try:
        import fcntl
    except ImportError:
        from filelock import FileLock

        with FileLock(path, timeout=LOCK_SECONDS):
            yield
        return
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        end = time.monotonic() + LOCK_SECONDS
        while not _try_lock(fcntl, fd):
            if time.monotonic() > end:
                raise CacheError(f"cache: {path} has been locked by another process for {LOCK_SECONDS:g} s")
            time.sleep(0.02)
        yield
    finally:
        os.close(fd)


def _try_lock(fcntl: Any, fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def map_private(fd: int, size: int) -> memoryview:
    """The bytes of an open file, mapped copy-on-write: a stray write reaches neither file nor reader.

    The map outlives the file's descriptor and takes none of its own, so that any number may be held. Where
    the system has no room for another map, the bytes are read.
    """
    if size == 0:
        return memoryview(b"")
    system: str = sys.platform
    if system == "win32":
        return memoryview(mmap.mmap(fd, size, access=mmap.ACCESS_COPY))
    try:
        return _mapped(fd, size)
    except OSError as error:
        if error.errno != errno.ENOMEM:
            raise
        return _read(fd, size)


def _mapped(fd: int, size: int) -> memoryview:
    """`mmap.mmap` keeps a copy of the descriptor before Python 3.13, so the system is asked directly."""
    flags = mmap.MAP_PRIVATE
    # No reservation of swap for copies that nobody makes; else a large map may be refused.
    flags |= getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)
    libc = _libc()
    address = libc.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, flags, fd, 0)
    if address in (None, _MAP_FAILED):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    block = (ctypes.c_ubyte * size).from_address(address)
    weakref.finalize(block, libc.munmap, address, size).atexit = False  # views may outlive the interpreter
    return memoryview(block).cast("B")


def _read(fd: int, size: int) -> memoryview:
    data = bytearray(size)
    view, done = memoryview(data), 0
    while done < size:
        count = os.preadv(fd, [view[done:]], done)
        if not count:
            break
        done += count
    return view[:done]


_MAP_FAILED = ctypes.c_void_p(-1).value


@lru_cache(maxsize=1)
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    size, number = ctypes.c_size_t, ctypes.c_int
    offset = ctypes.c_long  # off_t, which is 64 bits wide where addresses are
    libc.mmap.argtypes = [ctypes.c_void_p, size, number, number, number, offset]
    libc.mmap.restype = ctypes.c_void_p
    libc.munmap.argtypes = [ctypes.c_void_p, size]
    libc.munmap.restype = number
    return libc
