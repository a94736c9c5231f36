"""Values in memory, by the name of the object that would hold them: new ones are handed on unread."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

from flowsynth.executors.placed import Placed
from flowsynth.values.tensors import as_loaded


class Shelf:
    """Values that tasks of this process made and that others of it will read.

    Two tasks that make the same content share one entry; it goes when the last one lets go.
    """

    def __init__(self) -> None:
        self._values: dict[str, Placed] = {}
        self._holders: dict[str, int] = {}
        self._shared: set[str] = set()
        self._lock = threading.Lock()

    def put(self, values: Mapping[str, Any], device: str, *, shared: bool) -> None:
        """Hold values, once more each, until they are dropped as often.

        Args:
            values: by name.
            device: the logical device that they are on.
            shared: several will read each, so every reader must get one of its own.
        """
        with self._lock:
            for name, value in values.items():
                self._values.setdefault(name, Placed(value, device))
                self._holders[name] = self._holders.get(name, 0) + 1
                if shared or self._holders[name] > 1:
                    self._shared.add(name)

    def get(self, name: str, start: int | None = None, stop: int | None = None) -> Placed | None:
        """A value or some of its frames as from the cache, with the device that it is on."""
        found = self._values.get(name)
        if found is None:
            return None
        value = found.value if start is None else found.value.slice(start, stop)
        return Placed(as_loaded(value, own=name in self._shared), found.device)

    def drop(self, names: Iterable[str]) -> None:
        """Let go of values."""
        with self._lock:
            for name in names:
                left = self._holders[name] - 1
                if left:
                    self._holders[name] = left
                else:
                    del self._holders[name], self._values[name]
                    self._shared.discard(name)

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._values.clear()
            self._holders.clear()
            self._shared.clear()
