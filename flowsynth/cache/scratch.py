"""Folders of large files that live as long as an object of a process: weights that wait on the disk.

Each has a lease, which the system frees when its holder dies, however it dies; the next open of the cache
removes the folders whose lease is free. Unlike a process id in a name, that holds for days and across
containers that share a disk.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
import weakref
from pathlib import Path

from flowsynth.cache.errors import CacheFolderError, write_error
from flowsynth.cache.folder import entries, is_unwritable, prepare_folder
from flowsynth.cache.leases import Leases
from flowsynth.cache.location import default_cache_dir

#: The folder of those folders in a cache's.
PLACE = "scratch"
_NAME = re.compile(r"[0-9a-f]{32}")


class Scratch:
    """An empty folder of its owner's alone, removed with it.

    Attributes:
        folder: where it is.
    """

    def __init__(self, cache_dir: Path | None = None) -> None:
        """Make the folder.

        Args:
            cache_dir: the cache that it lies in; the user's own where that is None or may not be written.

        Raises:
            CacheError: neither can be written.
        """
        root = default_cache_dir() if cache_dir is None or is_unwritable(cache_dir) else cache_dir
        prepare_folder(root)
        leases = Leases(root / "leases")
        remove_left(root, leases)
        self.folder = _made(root / PLACE, leases)
        self._end = weakref.finalize(self, _close, self.folder, leases, os.getpid())

    def close(self) -> None:
        """Remove the folder with all that is in it."""
        self._end()


def remove_left(root: Path, leases: Leases) -> None:
    """Remove the folders that dead processes left in a cache."""
    for folder in entries(root / PLACE):
        if _NAME.fullmatch(folder.name) and not folder.is_symlink() and leases.try_acquire(_key(folder)):
            try:
                shutil.rmtree(folder, ignore_errors=True)  # follows no links
            finally:
                leases.release([_key(folder)])


def _made(place: Path, leases: Leases) -> Path:
    while True:
        folder = place / uuid.uuid4().hex
        if leases.try_acquire(_key(folder)):  # before it is there: nobody ever sees it without
            break
    try:
        place.mkdir(exist_ok=True)
        if place.is_symlink():
            raise CacheFolderError(f"cache: {place} is a link; expected a folder")
        folder.mkdir()
    except OSError as error:
        leases.close()
        raise write_error(error, folder, 0) from error
    return folder


def _key(folder: Path) -> str:
    return f"{PLACE} {folder.name}"


def _close(folder: Path, leases: Leases, owner: int) -> None:
    if os.getpid() == owner:  # a fork has it only on loan
        shutil.rmtree(folder, ignore_errors=True)
        leases.close()
