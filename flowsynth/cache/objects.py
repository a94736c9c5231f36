"""Objects: one file each, named by content, given its name when it is whole, and read by mapping.

A killed process leaves nothing, or a temporary file that the next open sweeps. Nothing is flushed to the
platter: a power cut may lose or garble the last seconds of objects, and size and checksum find that out
when the object is first opened; it then reads as a miss and is computed again.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import stat as modes
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from xxhash import xxh3_64

from flowsynth.cache import container
from flowsynth.cache.coding import Coding, pack, pays
from flowsynth.cache.container import Header, Rows, StoredObject
from flowsynth.cache.errors import CacheError, CacheFolderError, FormatError, write_error
from flowsynth.cache.newfile import NewFiles
from flowsynth.cache.platform import map_private, remove_file, sweep, temp_name
from flowsynth.cache.spool import Spool
from flowsynth.core.codec import Encoded, content_hash, frame_hashes, layout, temporal_hash

__all__ = ["ObjectInfo", "ObjectStore", "StoredObject"]

_T = TypeVar("_T")
_log = logging.getLogger("flowsynth.cache")
_KEY = re.compile(r"[0-9a-z][0-9a-z_\-]{3,127}")
#: Whether it is there already is asked before an object of this size is written, and found out by naming
#: a smaller one: most are new, and to ask costs as much as to write 30 kB.
_ASK_FIRST = 1 << 20
_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_SURPRISE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_LINK_BSD = getattr(errno, "EMLINK", errno.ELOOP)  # FreeBSD's word for a link that is not followed
_HASH = re.compile(r"[0-9a-f]{40}")
_HUGE = 1 << 33


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a listing says about an object.

    Attributes:
        key: its name.
        nbytes: bytes on disk.
        used: when it was last written or opened, in seconds of :func:`time.time`.
    """

    key: str
    nbytes: int
    used: float


class ObjectStore:
    """A folder of objects. Any number of threads and processes may use it at once.

    Attributes:
        root: the cache folder.
        read_only: nothing is written, moved or created.
        spool: files of values that are no objects.
        quarantined: ``(key, reason)`` of every damaged object met since this store was opened.
    """

    def __init__(self, root: Path, read_only: bool = False) -> None:
        self.root = Path(root)
        self.read_only = read_only
        self.quarantined: list[tuple[str, str]] = []
        self._folder = os.path.join(self.root, "objects")  # noqa: PTH118  (strings: hot path)
        self._new = NewFiles(os.path.join(self.root, "tmp"))  # noqa: PTH118
        self.spool = Spool(self._new)
        self._verified: dict[str, tuple[int, int, int]] = {}
        self._written: dict[str, int] = {}
        self._lock = threading.Lock()
        if not read_only:
            for name in ("objects", "tmp"):
                make_folder(self.root / name)
            sweep(self.root / "tmp")

    def path(self, key: str) -> str:
        """Where an object lies or would lie.

        Raises:
            ValueError: no key of an object, such as one with a path in it.
        """
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} is no object key: lower-case letters, digits, _ and - only")
        return f"{self._folder}{os.sep}{key[:2]}{os.sep}{key}"

    def put(
        self, key: str, codec_name: str, codec_version: int, encoded: Encoded, seconds: float = 0.0
    ) -> int:
        """Store an object, unless it is there already; returns its bytes on disk.

        What took long to make is coded, where that makes it smaller.

        Args:
            key: its identity.
            codec_name: which value type it is.
            codec_version: version of that type's codec.
            encoded: the value.
            seconds: what it cost to compute: whether coding pays, and for eviction.

        Raises:
            CacheFull: the disk is full; nothing readable is left behind.
            CacheError: the folder cannot be written.
        """
        path = self.path(key)
        if (encoded.nbytes >= _ASK_FIRST or self.read_only) and self._same(key, codec_name, codec_version):
            return self.size(key) or 0
        if self.read_only:
            raise CacheError(f"cache: {self.root} is open for reading only")
        codings: Mapping[str, Coding] = {}
        if pays(seconds, encoded.nbytes):
            encoded, codings = pack(encoded)
        header, pieces = container.build_header(key, codec_name, codec_version, encoded, seconds, codings)
        total = len(header) + sum(map(len, pieces))
        data = _checked(header, pieces)
        try:
            if not self._new.create(path, data, total):
                if self._same(key, codec_name, codec_version):
                    return self.size(key) or total
                self._new.replace(path, data, total)
        except OSError as error:
            raise write_error(error, Path(path), total) from error
        self._written[key] = time.time_ns()
        return total

    def _same(self, key: str, codec_name: str, codec_version: int) -> bool:
        """Whether a whole, undamaged object of the same codec is there already (read once to know)."""
        try:
            found = self.header(key)
        except CacheError:
            return False
        return found is not None and (found.codec_name, found.codec_version) == (codec_name, codec_version)

    def get(self, key: str, rows: Rows | None = None) -> StoredObject | None:
        """Map an object, or None: absent, or damaged and now in quarantine.

        The tensors are views of a private map: they cost no memory until read, and a stray write to one
        changes neither the file nor anybody else's view. Those that are coded are decoded.

        Args:
            key: its identity.
            rows: first row (frame) and one past the last that are needed: others may be left out.

        Raises:
            CacheError: it is there but the system refuses to open or map it.
        """
        return self._sound(key, lambda found: container.open_tensors(*found[1:], rows))

    def header(self, key: str) -> Header | None:
        """What a whole, undamaged object says of itself, or None; nothing is decoded.

        Raises:
            CacheError: it is there but the system refuses to open or map it.
        """
        return self._sound(key, lambda found: found[1])

    def _sound(self, key: str, read: Callable[[tuple[memoryview, Header, memoryview]], _T]) -> _T | None:
        """Something read from an object; None where it is absent, or damaged and now in quarantine."""
        try:
            found = self._open(key, deep=False)
            return None if found is None else read(found)
        except FormatError as error:
            self.set_aside(key, str(error))
            return None

    def file_bytes(self, key: str) -> memoryview | None:
        """All bytes of an object's file, mapped; None as for :meth:`get`, and its errors."""
        return self._sound(key, lambda found: found[0])

    def _open(self, key: str, deep: bool) -> tuple[memoryview, Header, memoryview] | None:
        if not _KEY.fullmatch(key):
            return None
        path = self.path(key)
        try:
            fd = open_regular(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise CacheError(f"cache: cannot read {path}: {error.strerror}") from error
        try:
            stat = os.fstat(fd)
            _plausible(stat)
            view = map_private(fd, stat.st_size)
        except OSError as error:
            raise CacheError(f"cache: cannot map {path}: {error.strerror}") from error
        finally:
            os.close(fd)
        signature = _signature(stat)
        # Sound too is what this process wrote and nobody changed since. (To take the file's status after each
        # write, and compare that, made a write of 0.5 MB 4 % slower.)
        own = stat.st_mtime_ns <= self._written.pop(key, -1)
        check = deep or not (own or self._verified.get(key) == signature)
        header, data = container.open_header(view, key, check)
        if deep:
            require_identity(key, header.codec_name, container.open_tensors(header, data).encoded)
        self._verified[key] = signature
        return view, header, data

    def set_aside(self, key: str, reason: str) -> None:
        """Move a damaged object's file out of sight, and say so once."""
        self._verified.pop(key, None)
        with self._lock:
            self.quarantined.append((key, reason))
        _log.warning("cache: object %s is damaged and counts as missing: %s", key, reason)
        if self.read_only:
            return
        target = self.root / "quarantine" / f"{key}.{temp_name()}"
        try:
            target.parent.mkdir(exist_ok=True)
            os.replace(self.path(key), target)  # noqa: PTH105
        except OSError:
            remove_file(Path(self.path(key)))

    def has(self, key: str) -> bool:
        """Whether an object is there (its bytes are not looked at)."""
        return self.size(key) is not None

    def size(self, key: str) -> int | None:
        """Bytes on disk, or None when it is not there."""
        if not _KEY.fullmatch(key):
            return None
        try:
            stat = os.lstat(self.path(key))
        except OSError:
            return None
        return stat.st_size if modes.S_ISREG(stat.st_mode) else None

    def seconds(self, key: str) -> float:
        """What the object cost to compute; 0 when unknown."""
        try:
            fd = open_regular(self.path(key))
        except (OSError, ValueError, FormatError):
            return 0.0
        try:
            return _read_header(fd).seconds
        except (OSError, FormatError):
            return 0.0
        finally:
            os.close(fd)

    def touch(self, key: str) -> None:
        """Note that an object is in use now. Its modification time stays: that is when it was made."""
        path = self.path(key)
        try:
            stat = os.lstat(path)
            if modes.S_ISREG(stat.st_mode):
                os.utime(path, ns=(time.time_ns(), stat.st_mtime_ns))
        except OSError:
            return

    def remove(self, key: str) -> bool:
        """Delete an object; False when it was not there (or, on Windows, is still mapped)."""
        self._verified.pop(key, None)
        self._written.pop(key, None)
        return bool(_KEY.fullmatch(key)) and remove_file(Path(self.path(key)))

    def scan(self) -> Iterator[ObjectInfo]:
        """All objects with sizes and last use, straight from the folder."""
        for folder in _entries(self._folder):
            for entry in _entries(folder.path):
                if not _KEY.fullmatch(entry.name):
                    continue
                try:
                    stat = entry.stat(follow_symlinks=False)
                except OSError:
                    continue  # removed meanwhile
                yield ObjectInfo(entry.name, stat.st_size, max(stat.st_atime, stat.st_mtime))

    def keys(self) -> Iterator[str]:
        """The names of all objects."""
        return (info.key for info in self.scan())

    def verify(self) -> list[str]:
        """Read every byte of every object, and compare its name with its content.

        Returns:
            The keys of those that are damaged or another value's, which are in quarantine now.
        """
        return [key for key in self.keys() if not self._is_sound(key)]

    def _is_sound(self, key: str) -> bool:
        try:
            self._open(key, deep=True)
        except FormatError as error:
            self.set_aside(key, str(error))
            return False
        return True


def open_regular(path: str) -> int:
    """A descriptor of a file to be read, without following a link or waiting at a pipe.

    Raises:
        FormatError: something else lies there.
        OSError: it cannot be opened.
    """
    try:
        fd = os.open(path, os.O_RDONLY | _BINARY | _NO_SURPRISE)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR, _LINK_BSD):
            raise FormatError("it is no regular file") from error
        raise
    if not modes.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FormatError("it is no regular file")
    return fd


def _plausible(stat: os.stat_result) -> None:
    """Refuse a file of holes, whose zeros would be read for hours: we write none.

    Raises:
        FormatError: far less of it is on the disk than it claims.
    """
    if stat.st_size > _HUGE and getattr(stat, "st_blocks", stat.st_size) * 512 < stat.st_size // 16:
        raise FormatError(f"it claims {stat.st_size:,} bytes and holds few of them")


def require_identity(key: str, codec_name: str, encoded: Encoded) -> None:
    """Compare an object's name with its content; names that are no hash are anybody's.

    Raises:
        FormatError: it is another value, whoever wrote a checksum on it.
    """
    if not _HASH.fullmatch(key) or key in _identities(codec_name, encoded):
        return
    raise FormatError("its content is not what its name says")


def _identities(codec_name: str, encoded: Encoded) -> Iterator[str]:
    """What the content could be called: as a value without frames, and as frames."""
    yield content_hash(codec_name, encoded)
    counts = {buffer.shape[:1] for buffer in encoded.tensors.values()}
    if len(counts) == 1 and () not in counts:
        yield temporal_hash(codec_name, encoded.meta, layout(encoded), frame_hashes(encoded))


def make_folder(path: Path) -> None:
    """Create a folder of the cache.

    Raises:
        CacheFolderError: it cannot be one.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CacheFolderError(f"cache: {path} cannot be used as a folder: {error.strerror}") from error


def _checked(header: bytes, pieces: list[memoryview | bytes]) -> list[memoryview | bytes]:
    """The file with its checksum (hashed whole: slices or a thread of its own are no faster)."""
    hasher = xxh3_64(header)
    for piece in pieces:
        hasher.update(piece)
    return [container.with_checksum(header, hasher.hexdigest().encode()), *pieces]


def _read_header(fd: int) -> Header:
    size = os.fstat(fd).st_size
    start = os.read(fd, 4096)
    length = container.header_length(start, size)
    while len(start) < length:
        more = os.read(fd, length - len(start))
        if not more:
            raise FormatError("it is cut short")
        start += more
    return container.parse_header(start[8:length], size - length)


def _signature(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            yield from found
    except OSError:
        return
