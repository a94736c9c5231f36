"""Values by the name of the object that would hold them: new ones are handed on unread.

They wait in memory; those that find no room in the cache and whose readers come late wait in files.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowsynth.cache.spool import read_spooled, remove_spooled
from flowsynth.core.codec import value_type
from flowsynth.executors.placed import HOST, Placed
from flowsynth.values.tensors import as_loaded


@dataclass(frozen=True, slots=True)
class Spooled:
    """A value in a file, mapped anew for everybody who reads it."""

    path: Path

    def load(self) -> Any:
        """The value; None where its file is gone."""
        stored = read_spooled(self.path)
        return None if stored is None else value_type(stored.codec_name).decode(stored.encoded)


class Shelf:
    """Values that tasks of this process made and that others of it will read.

    Two tasks that make the same content share one entry; it goes when the last one lets go.
    """

    def __init__(self) -> None:
        self._values: dict[str, Placed | Spooled] = {}
        self._holders: dict[str, int] = {}
        self._shared: set[str] = set()
        self._files: set[Path] = set()
        self._lock = threading.Lock()
        weakref.finalize(self, _remove, self._files)

    def put(self, values: Mapping[str, Any], device: str, *, shared: bool) -> None:
        """Hold values, once more each, until they are dropped as often.

        Args:
            values: by name; what is `Spooled` lies in a file, which is removed with the last holder.
            device: the logical device that they are on.
            shared: several will read each, so every reader must get one of its own.
        """
        with self._lock:
            for name, value in values.items():
                self._put(name, value if isinstance(value, Spooled) else Placed(value, device))
                self._holders[name] = self._holders.get(name, 0) + 1
                if shared or self._holders[name] > 1:
                    self._shared.add(name)

    def _put(self, name: str, value: Placed | Spooled) -> None:
        if isinstance(value, Spooled):
            self._files.add(value.path)
        before = self._values.get(name)
        if before is None or isinstance(value, Spooled):  # in a file it waits for all that hold it
            self._forget(before)
            self._values[name] = value

    def get(self, name: str, start: int | None = None, stop: int | None = None) -> Placed | None:
        """A value or some of its frames as from the cache, with the device that it is on."""
        found = self._values.get(name)
        if found is None:
            return None
        if isinstance(found, Spooled):
            loaded = found.load()
            if loaded is None:
                return None
            return Placed(loaded if start is None else loaded.slice(start, stop), HOST)
        value = found.value if start is None else found.value.slice(start, stop)
        return Placed(as_loaded(value, own=name in self._shared), found.device)

    def has(self, names: Iterable[str]) -> bool:
        """Whether all of some values can be had."""
        found = [self._values.get(name) for name in names]
        return all(one is not None and (isinstance(one, Placed) or one.path.exists()) for one in found)

    def drop(self, names: Iterable[str]) -> None:
        """Let go of values."""
        with self._lock:
            for name in names:
                left = self._holders[name] - 1
                if left:
                    self._holders[name] = left
                else:
                    del self._holders[name]
                    self._forget(self._values.pop(name))
                    self._shared.discard(name)

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._values.clear()
            self._holders.clear()
            self._shared.clear()
            _remove(self._files)

    def _forget(self, value: Placed | Spooled | None) -> None:
        if isinstance(value, Spooled):
            self._files.discard(value.path)
            remove_spooled(value.path)


def _remove(files: set[Path]) -> None:
    while files:
        remove_spooled(files.pop())
