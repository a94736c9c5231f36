"""Hashes of files, remembered by path, size, time and inode so that gigabytes are read once."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import threading
from pathlib import Path

from blake3 import blake3

from flowsynth.core.canonical import DIGEST_BYTES, digest_text
from flowsynth.core.errors import InputError, did_you_mean

_memory: dict[str, tuple[str, str]] = {}
_lock = threading.Lock()


def file_hash(path: Path, memo: Path | None = None) -> str:
    """BLAKE3 of a file's bytes.

    Args:
        path: the file.
        memo: folder where hashes are kept between processes; None keeps them in this process only.

    Raises:
        InputError: no such file, or it cannot be read.
    """
    try:
        return _file_hash(path.resolve(), memo)
    except OSError as error:
        raise InputError(f"{path}: {_reason(path, error)}") from error


def _reason(path: Path, error: OSError) -> str:
    if path.is_dir():
        return "is a folder; expected a file"
    if not isinstance(error, FileNotFoundError):
        return f"cannot be read: {error.strerror or error}"
    near = ""
    with contextlib.suppress(OSError):
        near = did_you_mean(path.name, [other.name for other in path.parent.iterdir()])
    return f"no such file; expected one that exists{near}"


def _file_hash(real: Path, memo: Path | None) -> str:
    stat = real.stat()
    name, stamp = str(real), f"{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ino}"
    with _lock:
        known = _memory.get(name)
    if known and known[0] == stamp:
        return known[1]
    digest = _remembered(memo, name, stamp) or _compute(real, memo, stamp)
    with _lock:
        _memory[name] = (stamp, digest)
    return digest


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


def _compute(path: Path, memo: Path | None, stamp: str) -> str:
    hasher = blake3()
    hasher.update_mmap(path)
    digest = hasher.hexdigest(length=DIGEST_BYTES)
    if memo is not None:
        _remember(_entry(memo, str(path)), {"path": str(path), "stamp": stamp, "hash": digest})
    return digest


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
