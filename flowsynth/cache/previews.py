"""Small pictures of values, under the values' hashes: they stay when eviction has taken the objects."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from flowsynth.cache.errors import FormatError
from flowsynth.cache.folder import entries
from flowsynth.cache.objects import make_folder, open_regular
from flowsynth.cache.platform import remove_file, replace_file, temp_name

#: What all of them may take, in bytes; the oldest go first.
BUDGET = 512 << 20
#: A larger file is none of ours.
LARGEST = 4 << 20
_NAME = re.compile(r"[0-9a-f]{16,128}")
_JPEG = b"\xff\xd8\xff"


class Previews:
    """JPEG files in a folder of the cache. Safe for threads and processes; nothing depends on them.

    Args:
        root: the cache's folder.
        read_only: write nothing.
    """

    def __init__(self, root: Path, read_only: bool = False) -> None:
        self._folder, self._read_only = root / "previews", read_only

    def _path(self, name: str) -> Path | None:
        return self._folder / name[:2] / f"{name}.jpg" if _NAME.fullmatch(name) else None

    def has(self, name: str) -> bool:
        """Whether there is one for a value."""
        path = self._path(name)
        return path is not None and path.is_file()

    def get(self, name: str) -> bytes | None:
        """The picture of a value, None where there is none, or something else."""
        path = self._path(name)
        if path is None:
            return None
        try:
            with os.fdopen(open_regular(str(path)), "rb") as file:
                data = file.read(LARGEST + 1)
        except (OSError, FormatError):
            return None
        return data if data.startswith(_JPEG) and len(data) <= LARGEST else None

    def put(self, name: str, data: bytes) -> bool:
        """Keep the picture of a value; False where it could not be, which is no fault of the run."""
        path = self._path(name)
        if path is None or self._read_only or len(data) > LARGEST:
            return False
        temp = path.with_name(temp_name())
        try:
            make_folder(path.parent)
            temp.write_bytes(data)
            replace_file(temp, path)
        except OSError:
            with suppress(OSError):
                remove_file(temp)
            return False
        return True

    def prune(self, budget: int = BUDGET) -> int:
        """Remove the oldest until the rest fits; returns how many went."""
        found: list[tuple[float, int, Path]] = []
        for path in self._files():
            with suppress(OSError):
                stat = path.lstat()
                found.append((stat.st_mtime, stat.st_size, path))
        left, count = sum(size for _, size, _ in found), 0
        for _, size, path in sorted(found, key=lambda item: item[0]):
            if left <= budget:
                break
            with suppress(OSError):
                remove_file(path)
                left, count = left - size, count + 1
        return count

    def _files(self) -> list[Path]:
        """Files that bear names of ours; what else lies there is nobody's to delete."""
        folders = [folder for folder in entries(self._folder) if len(folder.name) == 2]
        return [path for folder in folders for path in entries(folder) if _NAME.fullmatch(path.stem)]
