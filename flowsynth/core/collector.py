"""Python's cyclic garbage collector, kept from looking at what is made to stay."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Make many objects that live on: plans, tasks, graphs.

    The collector would look through all of them again and again while they are made (a third of a large
    plan's time), and twice more soon afterwards. Inside it does not run; at the end all that is there counts
    as old, so that it is looked through when the collector next takes everything, and not before.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if not gc.get_freeze_count():  # else a program keeps objects apart itself
                gc.freeze()
                gc.unfreeze()
            gc.enable()
