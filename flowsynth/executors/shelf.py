"""Values by the name of the object that would hold them: new ones are handed on unread.

They wait in memory; those that find no room in the cache and whose readers come late wait in files.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowsynth.cache.spool import read_spooled, remove_spooled
from flowsynth.core.codec import value_type
from flowsynth.core.errors import RunError
from flowsynth.executors.placed import HOST, Placed
from flowsynth.values.tensors import as_loaded, write_counts


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
        self._counts: dict[str, tuple[str, tuple[int, ...]]] = {}
        self._taken: set[str] = set()
        self._files: set[Path] = set()
        self._lock = threading.Lock()
        weakref.finalize(self, _remove, self._files)

    def put(self, values: Mapping[str, Any], device: str, *, shared: bool, maker: str = "") -> None:
        """Hold values, once more each, until they are dropped as often.

        Args:
            values: by name; what is `Spooled` lies in a file, which is removed with the last holder.
            device: the logical device that they are on.
            shared: several will read each, so every reader must get one of its own.
            maker: the node that made them, for messages.
        """
        with self._lock:
            for name, value in values.items():
                if name not in self._values and not isinstance(value, Spooled):
                    self._counts[name] = maker, write_counts(value)
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
        """A value or some of its frames as from the cache, with the device that it is on.

        Raises:
            RunError: whoever made it has written to it since.
        """
        found = self._values.get(name)
        if found is None:
            return None
        if isinstance(found, Spooled):
            loaded = found.load()
            if loaded is None:
                return None
            return Placed(loaded if start is None else loaded.slice(start, stop), HOST)
        if not self._is_as_it_was(name, found.value):
            return None
        own = name in self._shared
        if not own:
            self._taken.add(name)
        value = found.value if start is None else found.value.slice(start, stop)
        return Placed(as_loaded(value, own=own), found.device)

    def _is_as_it_was(self, name: str, value: Any) -> bool:
        """Whether nobody has written to a value; its only reader may, and it is gone then."""
        maker, counts = self._counts[name]
        if write_counts(value) == counts:
            return True
        if name in self._taken:
            return False
        raise RunError(
            f"what {maker} gave was changed after it had been handed on: run() must give new tensors, "
            "not a buffer that it writes to again; give a clone"
        )

    def hold(self, names: Collection[str]) -> bool:
        """Hold values that are here already, for another task of equal results; False: not all are here."""
        with self._lock:
            if any(name not in self._values or name in self._taken for name in names):
                return False
            for name in names:
                self._holders[name] += 1
                self._shared.add(name)
            return True

    def in_files(self, names: Collection[str]) -> bool:
        """Whether all of some values lie in files, not in memory."""
        with self._lock:
            return all(isinstance(self._values.get(name), Spooled) for name in names)

    def has(self, names: Iterable[str]) -> bool:
        """Whether all of some values can be had."""
        return all(map(self._has, names))

    def _has(self, name: str) -> bool:
        found = self._values.get(name)
        if isinstance(found, Spooled):
            return found.path.exists()
        return found is not None and self._is_as_it_was(name, found.value)

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
                    self._taken.discard(name)
                    self._counts.pop(name, None)

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._values.clear()
            self._holders.clear()
            self._shared.clear()
            self._taken.clear()
            self._counts.clear()
            _remove(self._files)

    def _forget(self, value: Placed | Spooled | None) -> None:
        if isinstance(value, Spooled):
            self._files.discard(value.path)
            remove_spooled(value.path)


def _remove(files: set[Path]) -> None:
    while files:
        remove_spooled(files.pop())
