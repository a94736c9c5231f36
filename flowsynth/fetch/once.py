"""A file that several processes want: one makes it, the others wait."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from flowsynth.fetch.errors import FetchError

#: Seconds that another process may take.
WAIT_SECONDS = 600
_CHUNK = 1 << 20


def make_once(who: str, target: Path, kept: Callable[[], bool], make: Callable[[Path], None]) -> Path:
    """Make a file unless it is there by the time the lock is held.

    Args:
        who: What the file is, for messages.
        target: Where it shall be.
        kept: Whether it is there and sound.
        make: Makes it, atomically; is given an empty folder beside it that is removed afterwards.

    Raises:
        FetchError: Another process holds the lock for too long.
    """
    from filelock import FileLock, Timeout

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock", timeout=WAIT_SECONDS):
            if not kept():
                with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as folder:
                    make(Path(folder))
    except Timeout as error:
        expected = f"the other process that downloads it to finish within {WAIT_SECONDS} s"
        raise FetchError(who, expected, f"{target}.lock still held") from error
    return target


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as opened:
        while block := opened.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()
