"""A pipeline's progress bar that tells a node's progress and stops where the node is cancelled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

from flowsynth.models.requests import Hooks


class Bar:
    """Stands in for tqdm's bar: counts steps, and asks before each whether to go on."""

    def __init__(self, hooks: Hooks, items: Iterable[Any] | None = None, total: int | None = None) -> None:
        self._hooks, self._done = hooks, 0
        self._items = [] if items is None else list(items)
        self._total = len(self._items) if total is None else total

    def update(self, count: int = 1) -> None:
        """So many more steps are done."""
        self._done += count
        self._hooks.check()
        self._hooks.progress(self._done, self._total)

    def __iter__(self) -> Iterator[Any]:
        """The items, counted."""
        for item in self._items:
            yield item
            self.update()

    def __enter__(self) -> Bar:
        """The bar itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left to close."""


def watch(pipe: Any, hooks: Hooks) -> None:
    """Have a pipeline tell a node's progress."""

    def progress_bar(iterable: Iterable[Any] | None = None, total: int | None = None) -> Bar:
        hooks.check()
        return Bar(hooks, iterable, total)

    pipe.progress_bar = progress_bar
