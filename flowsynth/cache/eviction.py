"""Eviction: keep the objects under a number of bytes, dropping first what is cheap to have again.

An object's score is ``recompute seconds * recency / bytes`` with ``recency = 1 / (1 + idle hours)``; the
lowest go first, from the budget (high-water mark) down to a low-water mark, so that it happens seldom.
Traces stay: a dropped object is computed again only if something needs it. A plain least-recently-used
order would drop an hour's diffusion for a second's decoding; cost over size is GreedyDual-Size's idea
(Cao and Irani, "Cost-Aware WWW Proxy Caching Algorithms", 1997).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass

from flowsynth.cache.objects import ObjectInfo, ObjectStore

#: The low-water mark, as a part of the budget.
LOW_WATER = 0.8
#: How long the sum of bytes is believed while other processes may write too.
RESCAN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Evicted:
    """What an eviction did.

    Attributes:
        count: how many objects went.
        nbytes: how many bytes that freed.
    """

    count: int
    nbytes: int


def score(seconds: float, idle: float, nbytes: int) -> float:
    """Worth of keeping an object: seconds of recomputation a byte saves, halved by the first idle hour."""
    recency = 1 / (1 + max(idle, 0.0) / 3600)
    return (seconds + 1e-3) * recency / max(nbytes, 1)


class Eviction:
    """Makes room in a store. Safe for threads.

    Attributes:
        max_bytes: the budget; None for no limit.
    """

    def __init__(self, objects: ObjectStore, max_bytes: int | None) -> None:
        self.max_bytes = max_bytes
        self._objects = objects
        self._lock = threading.Lock()
        self._used = 0
        self._coming = 0
        self._scanned = float("-inf")
        self._stuck_until = float("-inf")

    def admit(self, nbytes: int, live: Collection[str]) -> bool:
        """Make room for an object about to be written; False when it is refused.

        Refused is what is larger than the budget (everything else would have to go for it), and what
        fits only in the place of keys that are live. What is admitted must be settled.
        """
        if self.max_bytes is None:
            return True
        if nbytes > self.max_bytes:
            return False
        with self._lock:
            if not self._make_room(nbytes, self.max_bytes, live):
                return False
            self._coming += nbytes
            return True

    def settle(self, nbytes: int, written: int) -> None:
        """An admitted object has been written, perhaps coded, or has failed to be.

        Args:
            nbytes: what was admitted.
            written: what it takes on the disk.
        """
        if self.max_bytes is not None:
            with self._lock:
                self._coming -= nbytes
                self._used += written

    def _make_room(self, nbytes: int, budget: int, live: Collection[str]) -> bool:
        now = time.monotonic()
        if now - self._scanned > RESCAN_SECONDS:
            self._used, self._scanned = sum(info.nbytes for info in self._objects.scan()), now
        needed = nbytes + self._coming
        if self._used + needed <= budget:
            return True
        if now < self._stuck_until:
            return False
        self._shrink(int(LOW_WATER * budget) - needed, live)
        if self._used + needed <= budget:
            return True
        self._stuck_until = now + 1  # all live: looking again for every object would be slow
        return False

    def prune(self, max_bytes: int, live: Collection[str]) -> Evicted:
        """Bring the objects down to a number of bytes now."""
        with self._lock:
            return self._shrink(max_bytes, live)

    def _shrink(self, target: int, live: Collection[str]) -> Evicted:
        infos = list(self._objects.scan())
        self._used, self._scanned = sum(info.nbytes for info in infos), time.monotonic()
        count = freed = 0
        if self._used <= target:
            return Evicted(0, 0)
        for info in self._order([info for info in infos if info.key not in live]):
            if self._used <= target:
                break
            if self._objects.remove(info.key):
                count += 1
                freed += info.nbytes
                self._used -= info.nbytes
        return Evicted(count, freed)

    def _order(self, infos: list[ObjectInfo]) -> list[ObjectInfo]:
        """The least worth keeping first."""
        now = time.time()
        worth = {
            info.key: score(self._objects.seconds(info.key), now - info.used, info.nbytes) for info in infos
        }
        return sorted(infos, key=lambda info: (worth[info.key], info.used, info.key))
