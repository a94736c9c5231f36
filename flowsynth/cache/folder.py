"""The cache's folder: never another one, and nothing in it is deleted that does not bear a name of ours."""

from __future__ import annotations

import errno
import os
import re
import stat as modes
from collections.abc import Iterator
from pathlib import Path

from flowsynth.cache.errors import CacheError, CacheFolderError
from flowsynth.cache.objects import make_folder
from flowsynth.cache.platform import TEMP, remove_file

_TAG = "CACHEDIR.TAG"
#: What lies in a cache's folder; weights and clips may be fetched into it before it is one.
NAMES = frozenset(
    {
        _TAG,
        "index",
        "objects",
        "previews",
        "tmp",
        "leases",
        "scratch",
        "quarantine",
        "sources.json",
        "file_hashes",
        "weights",
        "assets",
    }
)
_WASTE = re.compile(rf"(?P<what>[0-9a-z][0-9a-z_\-]*)\.{TEMP}")
#: What systems put into folders by themselves.
_HARMLESS = frozenset({"lost+found", ".DS_Store", "Thumbs.db", "desktop.ini"})
_INDEX_FILES = frozenset({"cache.db", "cache.db-wal", "cache.db-shm"})


def require_folder_name(root: Path | str) -> Path:
    """The path of a cache's folder.

    Raises:
        CacheFolderError: an empty text, which would be the folder that one happens to be in.
    """
    if not str(root).strip() or (isinstance(root, str) and "\0" in root):
        raise CacheFolderError(f"cache: expected the path of a folder; given {str(root)!r}")
    return Path(root)


def prepare_folder(root: Path) -> None:
    """Make the folder if need be, and tag it for backup programs (https://bford.info/cachedir/).

    Raises:
        CacheFolderError: it cannot be one, or it is somebody's folder of other files.
        CacheError: it cannot be written to.
    """
    make_folder(root)
    tag = root / _TAG
    try:
        if tag.exists():
            return
        other = next((path.name for path in sorted(root.iterdir()) if not _is_ours(path.name)), None)
        if other is not None:
            raise CacheFolderError(
                f"cache: {root} is no cache but a folder with other files, such as {other!r}; expected a "
                "cache, or an empty or new folder"
            )
        tag.write_text("Signature: 8a477f597d28d172789f06886806bc55\n")
    except OSError as error:
        kind = CacheError if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO) else CacheFolderError
        raise kind(f"cache: {root} cannot be written: {error.strerror}") from error


def _is_ours(name: str) -> bool:
    return name in NAMES or name in _HARMLESS or name.startswith("sources.json")  # a killed process's


def is_unwritable(root: Path) -> bool:
    """Whether a cache is there, and this user may not write to it (another's, a disk mounted for reading)."""
    try:
        if not (root / "index").is_dir():
            return False
    except OSError:
        return False  # said when it is made
    there = [path for path in (root, root / "index", root / "objects") if path.exists()]
    return not all(os.access(path, os.W_OK | os.X_OK) for path in there)


def waste_files(root: Path) -> Iterator[Path]:
    """What was set aside: files under names that we gave, in the quarantine or in a set-aside index."""
    for entry in entries(root / "quarantine"):
        named = _WASTE.fullmatch(entry.name)
        if not named:
            continue
        if not modes.S_ISDIR(entry.lstat().st_mode):
            yield entry
        elif named["what"] == "index":
            yield from (path for path in entries(entry) if path.name in _INDEX_FILES)


def remove_waste(root: Path) -> None:
    """Empty the quarantine, but for what we did not put there."""
    for path in list(waste_files(root)):
        remove_file(path)
    for entry in entries(root / "quarantine"):
        if _WASTE.fullmatch(entry.name):
            try:
                entry.rmdir()  # only if nothing else is in it
            except OSError:
                continue


def entries(folder: Path) -> list[Path]:
    """What lies in a real folder; a link to one is not followed."""
    try:
        return sorted(folder.iterdir()) if modes.S_ISDIR(folder.lstat().st_mode) else []
    except OSError:
        return []
