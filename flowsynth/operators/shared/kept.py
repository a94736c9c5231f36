"""What a reader of files holds from one chunk to the next."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)
Held = TypeVar("Held")
#: Files that a thread keeps open, and a process knows.
_MOST = 4


def keep_last(
    held: OrderedDict[Key, Held],
    key: Key,
    make: Callable[[], Held],
    let_go: Callable[[Held], object] = lambda _: None,
) -> Held:
    """Return what is held under a key, made if it is not there; those that were asked for last stay.

    Args:
        held: what is held; changed.
        key: of what is wanted.
        make: makes it.
        let_go: called with what has to go for it.
    """
    if key not in held:
        held[key] = make()
        while len(held) > _MOST:
            let_go(held.popitem(last=False)[1])
    held.move_to_end(key)
    return held[key]
