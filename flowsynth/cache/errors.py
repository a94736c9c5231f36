"""What can go wrong in the cache, as errors a person can act on."""

from __future__ import annotations

import errno
from pathlib import Path

from flowsynth.core.errors import RunError

_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))


class CacheError(RunError):
    """The cache folder cannot be used as asked; what was stored before stays readable."""


class CacheFolderError(CacheError):
    """The folder that was asked for cannot be a cache: a wrong request, as no run was begun."""

    exit_code = 2


class CacheFull(CacheError):  # noqa: N818  (a state of the disk, named as people name it)
    """No room on the disk. Nothing finished is lost: rows wait in memory and can be committed again.

    Attributes:
        path: the file that could not be written.
        needed: bytes it would have taken.
    """

    def __init__(self, path: Path, needed: int, reason: str) -> None:
        self.path = path
        self.needed = needed
        super().__init__(
            f"cache: no room for {path} ({needed:,} bytes needed: {reason}); free some disk space, "
            "run `flowsynth cache prune`, or set cache.dir to another disk"
        )


class FormatError(CacheError):
    """A stored object is not what was written: cut short, flipped bytes, or a hostile header."""


def write_error(error: OSError, path: Path, needed: int) -> CacheError:
    """The named error for a failed write of ``needed`` bytes to ``path``."""
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return CacheFull(path, needed, reason)
    return CacheError(f"cache: cannot write {path}: {reason}")
