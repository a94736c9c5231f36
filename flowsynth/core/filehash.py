"""Hashes of files, remembered by path and stamp so that gigabytes are read once; files that must hold still.

A stamp is what the system says of a file besides its bytes: size, both times and inode. The change time is
the part that nobody sets: ``cp -p`` and ``touch -r`` give another file's modification time to new bytes.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat as modes
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3

from flowsynth.core.canonical import DIGEST_BYTES, digest_text
from flowsynth.core.errors import FlowsynthError, InputError, RunError, did_you_mean

_memory: dict[str, tuple[str, str]] = {}
_lock = threading.Lock()
_READ_BYTES = 1 << 20
#: How often a file that changes under the reading is read again.
_TRIES = 3
#: Writes within one tick of the file system's clock give one stamp: what changed just now is not remembered.
_SETTLED_NS = 50_000_000
#: The same where the clock seems to count in seconds, or in two (older disks, FAT, some on the network).
_COARSE_NS = 2_500_000_000


class FileWatch:
    """Files that were hashed, each with the stamp that it had before it was read, and folders looked into.

    Attributes:
        seen: path -> stamp.
        folders: path -> stamp before its files were chosen; empty where that does not tell of what is deeper.
        looks: how files were chosen, to be asked again where a folder has changed.
    """

    __slots__ = ("folders", "looks", "seen")

    def __init__(self) -> None:
        self.seen: dict[Path, str] = {}
        self.folders: dict[Path, str] = {}
        self.looks: dict[int, _Look] = {}

    def chosen(self, again: Callable[[], object], found: object) -> None:
        """Say how its files were chosen, if that took a look into folders.

        Args:
            again: looks once more.
            found: what that gave, and must give until the run is over.
        """
        if self.folders:
            look = _Look(again, found, dict(self.folders))
            self.looks[id(look)] = look

    def join(self, other: FileWatch) -> None:
        """Watch what another one does, too."""
        self.seen.update(other.seen)
        self.looks.update(other.looks)

    def changed(self) -> str:
        """What became of a file that is no longer the one that was hashed; empty if all are."""
        for path, stamp in self.seen.items():
            try:
                how = "" if file_stamp(path) == stamp else "changed"
            except OSError:
                how = "went away"
            if how:
                return f"{path} {how} while the run went on"
        return next(filter(None, (look.changed() for look in self.looks.values())), "")

    def check(self) -> None:
        """Raise if one of the files is no longer the one that was hashed.

        Raises:
            RunError: names the file.
        """
        changed = self.changed()
        if changed:
            raise RunError(
                f"{changed}: it is not what the plan looked at, so what was read of it is not kept; "
                "run it again"
            )


class _Look(NamedTuple):
    """How files were chosen out of folders; see `FileWatch.chosen`."""

    again: Callable[[], object]
    found: object
    folders: dict[Path, str]

    def changed(self) -> str:
        """Whether other files would be chosen now. What is written beside them is no change."""
        now = {folder: _stamp_of(folder) for folder in self.folders}
        if now == self.folders:
            return ""
        try:
            same = self.again() == self.found
        except FlowsynthError:
            same = False
        if not same:
            moved = next(folder for folder, stamp in now.items() if stamp != self.folders[folder])
            return f"{moved}: files came or went while the run went on"
        self.folders.update({folder: stamp for folder, stamp in now.items() if self.folders[folder]})
        return ""


_watches: ContextVar[tuple[FileWatch, ...]] = ContextVar("_watches", default=())


@contextlib.contextmanager
def watching() -> Iterator[FileWatch]:
    """Note every file that is hashed inside, with its stamp; blocks may be nested."""
    watch = FileWatch()
    token = _watches.set((*_watches.get(), watch))
    try:
        yield watch
    finally:
        _watches.reset(token)


def file_hash(path: Path, memo: Path | None = None) -> str:
    """BLAKE3 of a file's bytes.

    Args:
        path: the file.
        memo: folder where hashes are kept between processes; None keeps them in this process only.

    Raises:
        InputError: no such file, no regular one, or one that cannot be read or does not hold still.
    """
    try:
        stamp, digest = _file_hash(path.resolve(), memo)
    except (OSError, ValueError) as error:  # a NUL in the path is the latter
        raise InputError(f"{path}: {_reason(path, error)}") from error
    for watch in _watches.get():
        watch.seen.setdefault(path.absolute(), stamp)
    return digest


def watch_folder(folder: Path, *, deep: bool = False) -> None:
    """Note a folder before files are chosen out of it: what comes or goes later may change the choice.

    Args:
        folder: the folder.
        deep: the choice depends on folders in it, too.
    """
    for watch in _watches.get():
        watch.folders.setdefault(folder.absolute(), "" if deep else _stamp_of(folder))


def _stamp_of(folder: Path) -> str:
    try:
        return file_stamp(folder)
    except (OSError, ValueError):
        return "none"


def file_stamp(path: Path) -> str:
    """What tells whether a file was written to or replaced, without reading it.

    Raises:
        OSError: no such file.
    """
    return _stamp(path.stat())


def _stamp(stat: os.stat_result) -> str:
    return f"{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ctime_ns}:{stat.st_ino}"


def _reason(path: Path, error: OSError | ValueError) -> str:
    if os.path.isdir(path):  # noqa: PTH112  Path.is_dir raises of a name that is too long
        return "is a folder; expected a file"
    if not isinstance(error, FileNotFoundError):
        return f"cannot be read: {getattr(error, 'strerror', None) or error}"
    near = ""
    with contextlib.suppress(OSError):
        near = did_you_mean(path.name, [other.name for other in path.parent.iterdir()])
    return f"no such file; expected one that exists{near}"


def _file_hash(real: Path, memo: Path | None) -> tuple[str, str]:
    """The stamp that a file had before it was read, and its hash."""
    stat = real.stat()
    name, stamp = str(real), _stamp(stat)
    with _lock:
        known = _memory.get(name)
    if known and known[0] == stamp:
        return known
    if not modes.S_ISREG(stat.st_mode) and not modes.S_ISDIR(stat.st_mode):
        raise InputError(f"{real}: is no regular file; expected one (not a pipe, a socket or a device)")
    digest = _remembered(memo, name, stamp)
    if digest is None:
        stamp, digest, settled = _read(real)
        if not settled:
            return stamp, digest
        if memo is not None:
            _remember(_entry(memo, name), {"path": name, "stamp": stamp, "hash": digest})
    with _lock:
        _memory[name] = (stamp, digest)
    return stamp, digest


def _entry(memo: Path, name: str) -> Path:
    return memo / f"{digest_text(name)}.json"


def _remembered(memo: Path | None, name: str, stamp: str) -> str | None:
    if memo is None:
        return None
    try:
        data = json.loads(_entry(memo, name).read_text())
        return str(data["hash"]) if data["stamp"] == stamp else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read(path: Path) -> tuple[str, str, bool]:
    """Stamp and hash of a file that held still while it was read, and whether the stamp will tell of changes.

    It is read, not mapped: a mapped file that somebody cuts short ends the process.
    """
    for _ in range(_TRIES):
        began = time.time_ns()
        with path.open("rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            hasher, buffer = blake3(), bytearray(_READ_BYTES)
            while count := file.readinto(buffer):
                hasher.update(memoryview(buffer)[:count])
            after = os.fstat(file.fileno())
        if _stamp(before) == _stamp(after) == _stamp(path.stat()):
            settled = tells_of_changes(before.st_ctime_ns, began)
            return _stamp(before), hasher.hexdigest(length=DIGEST_BYTES), settled
    raise InputError(f"{path}: changes while it is read; run again when it is written")


def tells_of_changes(changed_ns: int, began_ns: int) -> bool:
    """Whether a file that is written to after it was read is sure to have another stamp.

    Args:
        changed_ns: its change time.
        began_ns: when the reading began.
    """
    coarse = changed_ns % 1_000_000_000 == 0
    return changed_ns + (_COARSE_NS if coarse else _SETTLED_NS) < began_ns


def _remember(entry: Path, data: dict[str, str]) -> None:
    """Write by temp and rename: several processes may do so at once. A full disk only costs the memo."""
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=entry.parent)
        with os.fdopen(handle, "w") as file:
            json.dump(data, file)
        Path(temporary).replace(entry)
    except OSError:
        return
