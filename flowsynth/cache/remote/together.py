"""Doing several things at once that wait for a network."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")
#: Requests under way at once.
AT_ONCE = 8


def together(act: Callable[[_T], _R], items: Iterable[_T]) -> list[tuple[_T, _R]]:
    """Do something with each item, several at a time; pairs of item and result, as they come.

    The caller only waits, so that Ctrl-C ends it at once: the threads end by themselves, and hold up nothing.

    Args:
        act: what to do. It must not raise but for faults of the program.
        items: with what.
    """
    queue: SimpleQueue[_T] = SimpleQueue()
    count = 0
    for item in items:
        queue.put(item)
        count += 1
    done: SimpleQueue[tuple[_T, _R] | BaseException] = SimpleQueue()

    def work() -> None:
        while True:
            try:
                item = queue.get_nowait()
            except Empty:
                return
            try:
                done.put((item, act(item)))
            except BaseException as error:
                done.put(error)

    for _ in range(min(AT_ONCE, count)):
        threading.Thread(target=work, name="cache-remote", daemon=True).start()
    found = []
    for _ in range(count):
        result = done.get()
        if isinstance(result, BaseException):
            raise result
        found.append(result)
    return found
