"""Python's cyclic garbage collector, kept from looking at what is made to stay."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

#: Fewer new objects are left to the collector: looking through them is cheap, and they may die young.
_MANY = 10_000


@contextmanager
def collector_paused() -> Iterator[None]:
    """Make many objects that live on: plans, tasks, graphs.

    The collector would look through all of them again and again while they are made (a third of a large
    plan's time), and twice more soon afterwards. Inside it does not run. If many were made, all that is there
    counts as old at the end, so that it is looked through when the collector next takes everything.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            # A program that keeps objects apart from the collector shall find them so. Counting them takes
            # 9 ns each: nothing beside what was made here, and nothing at all in a program that keeps none.
            if gc.get_count()[0] > _MANY and not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()
            gc.enable()
