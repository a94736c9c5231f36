"""A zip file as a place: what a cache holds of a graph, to be carried to another machine.

Nothing in it is unpacked by its name: rows and objects are checked as those of any other place.
Entries are stored, not compressed, so that a file cannot grow when it is read.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from flowsynth.cache.errors import FormatError
from flowsynth.cache.remote.place import MARK, PART, DeniedError, Got
from flowsynth.core.errors import InputError

#: What else an export may hold: a list of files that the graph reads, and these files.
LIST, INPUT = "inputs.json", "inputs/"
_HASH = "(?P<two>[0-9a-f]{2})/(?P=two)[0-9a-f]{38}"
_NAME = re.compile(rf"{MARK}|{re.escape(LIST)}|{INPUT}\d{{1,6}}|(rows|graphs|objects)/{_HASH}")
_EPOCH = (1980, 1, 1, 0, 0, 0)
_DAMAGE = (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError)


class Archive:
    """A zip file as a place.

    Args:
        file: open for reading or for writing.
        path: its name, for messages.
        write: begin a new one.

    Raises:
        InputError: it is no export of a cache.
    """

    def __init__(self, file: IO[bytes], path: Path, write: bool = False) -> None:
        self._path = path
        try:
            self._zip = zipfile.ZipFile(file, "w" if write else "r")
            infos = self._zip.infolist()
        except _DAMAGE as error:
            raise self._refused(f"it is no zip file ({error})") from None
        self._infos = {info.filename: info for info in infos}
        if not write:
            self._require_own(infos)

    def _require_own(self, infos: list[zipfile.ZipInfo]) -> None:
        """See that it holds nothing but what an export writes, as it writes it."""
        other = next((info.filename for info in infos if not _NAME.fullmatch(info.filename)), None)
        if other is not None or MARK not in self._infos:
            holds = f"it holds {other!r:.80}" if other is not None else f"it holds no {MARK!r}"
            raise self._refused(holds)
        if any(i.compress_type or i.flag_bits & 1 or i.file_size != i.compress_size for i in infos):
            raise self._refused("its entries are compressed or locked")
        if len(infos) != len(self._infos) or sum(i.file_size for i in infos) > self._path.stat().st_size:
            raise self._refused("its entries lie in each other")

    def _refused(self, reason: str) -> InputError:
        return InputError(f"{self._path}: expected a file of 'flowsynth cache export'; {reason}")

    def names(self, kind: str) -> list[str]:
        """The names that begin with a folder's."""
        return [name for name in self._infos if name.startswith(kind)]

    def get(self, name: str) -> Got | None:
        """What lies under a name, or None."""
        info = self._infos.get(name)
        return None if info is None else Got(info.file_size, self._parts(info))

    def _parts(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        try:
            with self._zip.open(info) as entry:
                while part := entry.read(PART):
                    yield part
        except _DAMAGE as error:
            raise FormatError(f"it is damaged ({error})") from None

    def size(self, name: str) -> int | None:
        """How many bytes lie under a name, or None."""
        info = self._infos.get(name)
        return None if info is None else info.file_size

    def put(self, name: str, data: bytes | memoryview) -> None:
        """Add bytes under a name, once.

        Raises:
            DeniedError: it is open for reading.
        """
        if self._zip.mode == "r":
            raise DeniedError("it is only read")
        if name not in self._infos:
            info = zipfile.ZipInfo(name, _EPOCH)
            self._zip.writestr(info, data)
            self._infos[name] = info

    def close(self) -> None:
        """Write the list of what is in it, where it is a new one."""
        self._zip.close()
