"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from flowsynth.media.errors import MediaWriteError

#: What a write says when the disk, the quota or the file size limit is used up.
_FULL = {
    errno.ENOSPC: "no space left on the device",
    errno.EDQUOT: "a used-up disk quota",
    errno.EFBIG: "a file size limit",
}


@contextlib.contextmanager
def atomic_path(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a name beside ``target`` to write to, and moves the file there once it is safely on disk.

    The temporary name keeps the target's suffix, from which writers take the format. Whatever goes
    wrong, no partial file stays behind and an older file at ``target`` is untouched.

    Raises:
        MediaWriteError: The folder is missing or not writable, or the disk is full.
    """
    final = Path(target)
    temporary = final.with_name(f".{final.stem}.{secrets.token_hex(6)}.tmp{final.suffix}")
    try:
        with _reported(final):
            _require_folder(final)
            yield temporary
            _sync(temporary)
            temporary.replace(final)
            _sync_folder(final.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(target: str | os.PathLike[str], data: bytes | memoryview) -> None:
    """Writes a whole file, atomically.

    Raises:
        MediaWriteError: As :func:`atomic_path`.
    """
    with atomic_path(target) as temporary:
        temporary.write_bytes(data)


@contextlib.contextmanager
def _reported(final: Path) -> Iterator[None]:
    """Turns what the operating system says of a write into one message."""
    try:
        yield
    except OSError as error:
        # FFmpeg's errors carry errno too, but its own codes are no errnos and are no write faults.
        if error.errno in _FULL:
            raise MediaWriteError(final, "room for the file", _FULL[error.errno]) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise MediaWriteError(
                final, "a folder that may be written to", os.strerror(error.errno)
            ) from error
        raise


def _require_folder(final: Path) -> None:
    if final.is_dir():
        raise MediaWriteError(final, "a file's name", "a folder")
    if not final.parent.is_dir():
        raise MediaWriteError(final, "a file in an existing folder", f"no folder {final.parent}")


def _sync(path: Path) -> None:
    with path.open("rb+") as opened:
        os.fsync(opened.fileno())


def _sync_folder(folder: Path) -> None:
    """Makes the rename itself last; Windows can't open folders and needs no such thing."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
