"""Copies what a run makes to a place, behind its back: of each result the objects first, then the row."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Protocol

from flowsynth.cache.errors import CacheError, FormatError
from flowsynth.cache.remote.letter import objects_in
from flowsynth.cache.remote.tier import Remote
from flowsynth.cache.remote.together import together

#: Rows whose objects travel together.
BATCH = 32


class Outbox(Protocol):
    """What a sender asks of the cache on this machine."""

    def left(self) -> Iterator[Mapping[str, bytes]]:
        """Rows that an earlier process did not come to send, some at a time."""
        ...

    def sent(self, keys: Collection[str]) -> None:
        """Rows have arrived."""
        ...

    def file_bytes(self, key: str) -> memoryview | None:
        """All bytes of an object; None where it is not kept here."""
        ...


class Sender:
    """A thread that sends rows with their objects.

    Args:
        remote: where to.
        outbox: what is sent.
    """

    def __init__(self, remote: Remote, outbox: Outbox) -> None:
        self._remote, self._outbox = remote, outbox
        self._queue: dict[str, bytes] = {}
        self._there: set[str] = set()
        self._change = threading.Condition()
        self._stopped = self._looked = False
        self._under_way = 0
        self._thread = threading.Thread(target=self._work, name="cache-send", daemon=True)
        self._thread.start()

    def add(self, rows: Mapping[str, bytes]) -> None:
        """Have rows sent; of one key the last counts."""
        with self._change:
            self._queue.update(rows)
            self._change.notify_all()

    @property
    def unsent(self) -> int:
        """Rows that are not there yet."""
        return len(self._queue) + self._under_way

    def wait(self, seconds: float) -> bool:
        """Wait until all is sent or the place does not answer; False: time is up."""
        end = time.monotonic() + seconds
        with self._change:
            while not self._stopped and self._is_busy() and time.monotonic() < end:
                self._change.wait(min(0.2, max(0.0, end - time.monotonic())))
            return self._stopped or not self._is_busy()

    def _is_busy(self) -> bool:
        resting = self._remote.denied or self._remote.rest_left > 0
        return not self._looked or bool(self._under_way or (self._queue and not resting))

    def stop(self) -> None:
        """End the thread, soon; what is not sent stays in the outbox."""
        with self._change:
            self._stopped = True
            self._change.notify_all()
        self._thread.join(timeout=2.0)

    def _work(self) -> None:
        try:
            for rows in self._outbox.left():
                self.add({key: row for key, row in rows.items() if key not in self._queue})
                if self._stopped:
                    break
        except CacheError:
            pass  # the index is in use, or damaged: the run itself says so
        self._looked = True
        while (batch := self._next()) is not None:
            done = self._send(batch)
            with self._change:
                failed = {key: row for key, row in batch.items() if key not in done}
                self._queue = {**failed, **self._queue}
                self._under_way = 0
                self._change.notify_all()

    def _next(self) -> dict[str, bytes] | None:
        """Rows to send; waits for some, and while the place rests."""
        with self._change:
            while not self._stopped:
                rest = max(0.0, self._remote.rest_left)
                if self._queue and not rest and not self._remote.denied:
                    batch = dict(islice(self._queue.items(), BATCH))
                    for key in batch:
                        del self._queue[key]
                    self._under_way = len(batch)
                    return batch
                self._change.wait(rest or None)
        return None

    def _send(self, batch: Mapping[str, bytes]) -> set[str]:
        """Send rows; returns the keys of those that are done with."""
        found = {key: _needed(key, row) for key, row in batch.items()}
        needs = {key: need for key, need in found.items() if need is not None}
        done = found.keys() - needs.keys()
        names = dict.fromkeys(n for need in needs.values() for n in need if n not in self._there)
        failed = {name for name, went in together(self._object, names) if not went}
        ready = [key for key, need in needs.items() if failed.isdisjoint(need)]
        rows = together(lambda key: self._remote.put_row(key, batch[key]), ready)
        done |= {key for key, went in rows if went}
        if not self._stopped:
            self._settle(done)
        return done

    def _object(self, name: str) -> bool:
        """See that an object is there, if it is kept at all."""
        if not self._remote.knows(name):
            try:
                data = self._outbox.file_bytes(name)
            except CacheError:
                data = None
            if data is None:
                return True
            if self._stopped or not self._remote.put_object(name, data):
                return False
        self._there.add(name)
        return True

    def _settle(self, keys: Collection[str]) -> None:
        try:
            self._outbox.sent(keys)
        except CacheError:
            return  # sent once more by the next process


def _needed(key: str, row: bytes) -> list[str] | None:
    """The objects of a row; None for a row of this machine only."""
    try:
        return objects_in(key, row)
    except FormatError:
        return None
