"""Content hashes of files, remembered by path, size, modification time and inode."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import threading
from pathlib import Path

from blake3 import blake3

from flowsynth.core.canonical import DIGEST_BYTES
from flowsynth.core.errors import InputError, nearest


def _reason(path: Path, error: OSError) -> str:
    if path.is_dir():
        return "is a folder; expected a file"
    if not isinstance(error, FileNotFoundError):
        return f"cannot be read: {error.strerror or error}"
    near = ""
    with contextlib.suppress(OSError):
        near = nearest(path.name, [other.name for other in path.parent.iterdir()])
    return "no such file; expected one that exists" + (f"; did you mean {near!r}?" if near else "")


class FileHasher:
    """Hashes files, each once as long as it does not change.

    Args:
        memo: where to remember hashes from one process to the next; None for this process only.
    """

    def __init__(self, memo: Path | None = None) -> None:
        self.memo = memo
        self._known: dict[str, list[object]] = {}
        self._lock = threading.Lock()
        self._fresh = False
        with contextlib.suppress(OSError, ValueError):
            data = json.loads(memo.read_bytes()) if memo is not None else {}
            self._known = data if isinstance(data, dict) else {}

    def hash(self, path: Path) -> str:
        """BLAKE3 of a file's content: 40 hexadecimal digits.

        Raises:
            InputError: no such file, or it cannot be read.
        """
        name = str(path.absolute())
        try:
            stat = path.stat()
            state: list[object] = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
            with self._lock:
                known = self._known.get(name)
            if isinstance(known, list) and known[:-1] == state:
                return str(known[-1])
            hasher = blake3()
            hasher.update_mmap(path)
        except OSError as error:
            raise InputError(f"{path}: {_reason(path, error)}") from error
        found = hasher.hexdigest(length=DIGEST_BYTES)
        with self._lock:
            self._known[name] = [*state, found]
            self._fresh = True
        return found

    def save(self) -> None:
        """Write the memo; a folder that cannot be written to only costs the next process time."""
        if self.memo is None or not self._fresh:
            return
        with contextlib.suppress(OSError), self._lock:
            handle, name = tempfile.mkstemp(dir=self.memo.parent, prefix=self.memo.name)
            with os.fdopen(handle, "w") as file:
                json.dump(self._known, file)
            Path(name).replace(self.memo)
            self._fresh = False
