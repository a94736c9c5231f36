"""Files and folders that a word may become."""

from __future__ import annotations

import os
from pathlib import Path


def files(current: str, endings: tuple[str, ...] = ()) -> list[str]:
    """Paths that begin as a word does, folders with a slash.

    Args:
        current: the word.
        endings: of the files that are wanted; all if empty.
    """
    head, slash, start = current.rpartition("/")
    folder = Path(head + slash).expanduser() if head or slash else Path()
    try:
        with os.scandir(folder) as items:
            found = [(item.name, item.is_dir()) for item in items if item.name.startswith(start)]
    except OSError:
        return []
    shown = [
        f"{head}{slash}{name}{'/' if is_folder else ''}"
        for name, is_folder in found
        if is_folder or not endings or name.endswith(endings)
    ]
    return sorted(name for name in shown if start.startswith(".") or not Path(name).name.startswith("."))
