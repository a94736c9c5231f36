"""Leases: at most one process (and one thread) computes a key at a time.

On Linux a lease is an open-file-description lock on a few bytes of one of 64 files, at a place given by the
key's hash. The kernel frees it when its holder dies, however it dies. The length of the locked range is the
holder's process id, so that anybody can ask who holds a key without a file of names that could go stale.
Elsewhere a lease is a `filelock` on one of 4,096 files, with the same guarantees but for false sharing: two
keys may share a file, and then wait for each other.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
import threading
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from xxhash import xxh3_64_intdigest

from flowsynth.cache.errors import CacheError
from flowsynth.cache.objects import make_folder

_FILES = 64
_SLOTS = 4096
#: Bytes each key has to itself in a lock file: more than Linux's largest process id, 2**22.
_SPAN = 1 << 23
_PLACES = 1 << 39
_FLOCK = "hhqqi4x"
_BUSY = (errno.EAGAIN, errno.EACCES)


class _Locks(Protocol):
    """Locks that the system frees when their holder dies."""

    def place(self, key: str) -> int:
        """Which lock a key has."""
        ...

    def lock(self, place: int) -> bool:
        """Take it without waiting; False when another process has it."""
        ...

    def unlock(self, place: int) -> None:
        """Give it back."""
        ...

    def holder(self, place: int) -> int | None:
        """The process id of another holder, 0 when unknown, None when free."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...


class Leases:
    """The leases of one opened cache. Safe for threads: two threads never hold one key."""

    def __init__(self, folder: Path, portable: bool = False) -> None:
        """Open the folder of lock files.

        Args:
            folder: where they lie.
            portable: use `filelock` even where the kernel has better.
        """
        make_folder(folder)
        native = sys.platform == "linux" and not portable
        self._locks: _Locks = OfdLocks(folder) if native else FileLocks(folder)
        self._held: dict[int, str] = {}
        self._places: dict[str, int] = {}  # the same by key
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def try_acquire(self, key: str) -> bool:
        """Take a key's lease without waiting; False when anybody has it, this process included.

        Raises:
            CacheError: the file system has no locks.
        """
        place = self._locks.place(key)
        with self._lock:
            if place in self._held or not self._locks.lock(place):
                return False
            self._held[place] = key
            self._places[key] = place
            return True

    def release(self, keys: Iterable[str]) -> None:
        """Give leases back; keys that are not held are passed over."""
        with self._lock:
            for key in keys:
                place = self._places.pop(key, None)
                if place is not None:
                    del self._held[place]
                    self._locks.unlock(place)

    def held(self) -> list[str]:
        """The keys this cache holds now."""
        with self._lock:
            return list(self._held.values())

    def holder(self, key: str) -> str | None:
        """Who holds a key: a process id as text, ``"unknown"`` where the system does not tell, or None.

        A hung holder is not dead: its lease stays until the process ends.
        """
        place = self._locks.place(key)
        with self._lock:
            if place in self._held:
                return str(self._pid)
            pid = self._locks.holder(place)
        return None if pid is None else str(pid or "unknown")

    def close(self) -> None:
        """Give back all leases."""
        with self._lock:
            self._held.clear()
            self._places.clear()
            self._locks.close()


class OfdLocks:
    """Byte-range locks of open file descriptions (Linux)."""

    def __init__(self, folder: Path) -> None:
        import fcntl

        self._fcntl = fcntl
        self._folder = folder
        self._fds: dict[int, int] = {}
        self._pid = os.getpid()
        _all_ofd.add(self)

    def place(self, key: str) -> int:
        """One of 2**45 places in the 64 files."""
        return xxh3_64_intdigest(key.encode()) % (_FILES * _PLACES)

    def lock(self, place: int) -> bool:
        """Lock as many bytes as this process's id says."""
        try:
            self._call(self._fcntl.F_OFD_SETLK, place, self._fcntl.F_WRLCK)
        except OSError as error:
            if error.errno in _BUSY:
                return False
            raise CacheError(f"cache: cannot lock in {self._folder}: {error.strerror}") from error
        return True

    def unlock(self, place: int) -> None:
        """Unlock the range."""
        self._call(self._fcntl.F_OFD_SETLK, place, self._fcntl.F_UNLCK)

    def holder(self, place: int) -> int | None:
        """The length of the lock in the way is its holder's process id."""
        found = self._call(self._fcntl.F_OFD_GETLK, place, self._fcntl.F_WRLCK)
        kind, _, _, length, _ = struct.unpack(_FLOCK, found)
        return None if kind == self._fcntl.F_UNLCK else int(length)

    def _call(self, command: int, place: int, kind: int) -> bytes:
        at, index = divmod(place, _FILES)
        fd = self._fds.get(index)
        if fd is None:
            path = self._folder / f"{index:02x}"
            fd = self._fds[index] = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        return self._fcntl.fcntl(
            fd, command, struct.pack(_FLOCK, kind, os.SEEK_SET, at * _SPAN, self._pid, 0)
        )

    def close(self) -> None:
        """Close the files, which frees their locks."""
        while self._fds:
            os.close(self._fds.popitem()[1])


_all_ofd: weakref.WeakSet[OfdLocks] = weakref.WeakSet()


def _drop_in_child() -> None:
    """A forked child must not keep its parent's leases alive."""
    for locks in list(_all_ofd):
        locks.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drop_in_child)


class FileLocks:
    """The same over `filelock` (macOS, Windows)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._locked: dict[int, Any] = {}

    def place(self, key: str) -> int:
        """One of 4,096 files."""
        return xxh3_64_intdigest(key.encode()) % _SLOTS

    def lock(self, place: int) -> bool:
        """Lock the file."""
        from filelock import FileLock, Timeout

        lock = FileLock(self._folder / f"{place:03x}.lock", thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        except (OSError, NotImplementedError) as error:
            raise CacheError(f"cache: cannot lock in {self._folder}: {error}") from error
        self._locked[place] = lock
        return True

    def unlock(self, place: int) -> None:
        """Unlock the file."""
        self._locked.pop(place).release()

    def holder(self, place: int) -> int | None:
        """Whether somebody holds it; these locks do not say who."""
        if self.lock(place):
            self.unlock(place)
            return None
        return 0

    def close(self) -> None:
        """Unlock everything."""
        while self._locked:
            self._locked.popitem()[1].release()
