"""Paths as people write them."""

from __future__ import annotations

import os
from pathlib import Path


def user_path(path: str | os.PathLike[str]) -> Path:
    """A path as people write it: ``~`` is the home folder, unless a file of that very name is there.

    A name such as ``~a.mp4`` is no user's home either.
    """
    plain = Path(path)
    if not str(path).startswith("~") or plain.exists():
        return plain
    try:
        return plain.expanduser()
    except RuntimeError:
        return plain
