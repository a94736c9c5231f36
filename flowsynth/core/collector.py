"""Python's cyclic garbage collector, kept from looking at what is made to stay."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: Fewer new objects are left to the collector: looking through them is cheap, and they may die young.
_MANY = 10_000


class _Pause:
    """How many pauses there are, of all threads: the first turns the collector off, the last on again.

    Were each to put back what it found, one that began in another's could turn it off for good.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._was_enabled = False

    def begin(self) -> None:
        with self._lock:
            if not self._count:
                self._was_enabled = gc.isenabled()
                gc.disable()
            self._count += 1

    def end(self, settle: bool) -> None:
        with self._lock:
            self._count -= 1
            if self._count or not self._was_enabled:
                return
            # A program that keeps objects apart from the collector shall find them so. Counting them takes
            # 9 ns each: nothing beside what was made here, and nothing at all in a program that keeps none.
            if settle and gc.get_count()[0] > _MANY and not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()
            gc.enable()


_PAUSE = _Pause()


@contextmanager
def collector_paused(settle: bool = True) -> Iterator[None]:
    """Make many objects that live on: plans, tasks, graphs.

    The collector would look through all of them again and again while they are made (a third of a large
    plan's time), and twice more soon afterwards. Inside it does not run, in any thread. If many were made,
    all that is there counts as old at the end, so that it is looked through when the collector next takes
    everything.

    Args:
        settle: whether what was made stays, and so counts as old.
    """
    _PAUSE.begin()
    try:
        yield
    finally:
        _PAUSE.end(settle)
