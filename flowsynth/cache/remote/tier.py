"""A place as the cache uses it: what is not there is remembered, and what fails is left alone for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from flowsynth.cache.errors import FormatError
from flowsynth.cache.remote import letter
from flowsynth.cache.remote.place import MARK, DeniedError, Got, Place, PlaceError, object_name, row_name
from flowsynth.core.errors import RequestError

_T = TypeVar("_T")
#: How long something that was not there is not asked for again.
MISS_SECONDS = 60.0
#: How long a place that does not answer is left alone; twice as long each time, up to the second.
REST_SECONDS, MOST_REST_SECONDS = 60.0, 900.0
MARK_TEXT = b'{"format": 1}\n'
#: So S3 answers for a name that is not there to who may not list the bucket.
_MAYBE_MISSING = ("AccessDenied", "403 Forbidden")


class Remote:
    """Rows and objects of a place. Safe for threads; none of its methods raises but :meth:`begin`.

    Attributes:
        address: where it is.
        fault: why the place did not answer the last time that it did not; empty while it always has.
        denied: why it may not be written; empty if it may.
        damaged: names of what was there and was not what it should be.
    """

    def __init__(self, place: Place, address: str) -> None:
        self.place = place
        self.address = address
        self.fault = ""
        self.denied = ""
        self.damaged: dict[str, str] = {}
        self._bad: set[str] = set()
        self._missing: dict[str, float] = {}
        self._present: set[str] = set()
        self._rest, self._rests_until = REST_SECONDS, float("-inf")
        self._lock = threading.Lock()

    def begin(self, read_only: bool) -> None:
        """See that it is a cache of ours, or make it one.

        Raises:
            RequestError: it isn't, or it cannot be used.
        """
        try:
            found = self.place.get(MARK)
            mark = None if found is None else b"".join(_limited(found, 200))
            if mark is None and not read_only:
                self.place.put(MARK, MARK_TEXT)
        except PlaceError as error:
            raise unusable(self.address, error) from None
        except FormatError:
            mark = b""
        if mark not in (None, MARK_TEXT):
            raise RequestError(
                f"cache.remote: {self.address}: expected a cache of this program; its {MARK!r} is another's"
            )

    # --- reading ----------------------------------------------------------------------------------------

    def row(self, key: str) -> bytes | None:
        """The row under a key."""
        name = row_name(key)
        if name is None or not self.may_have(key):
            return None

        def read() -> bytes | None:
            found = self.place.get(name)
            return None if found is None else letter.opened(key, b"".join(_limited(found, letter.MOST_BYTES)))

        return self._read(name, read)

    def may_have(self, key: str) -> bool:
        """Whether asking for a row is worth it."""
        name = row_name(key)
        return not (name is None or name in self._bad or self._is_missing(name) or self.rest_left > 0)

    def knows(self, key: str) -> bool:
        """Whether an object is known to be there, without asking."""
        return object_name(key) in self._present

    def has(self, key: str) -> bool:
        """Whether an object is said to be there."""
        name = object_name(key)
        if name is None or name in self._bad or self._is_missing(name):
            return False
        if name not in self._present and self._read(name, lambda: self.place.size(name)) is not None:
            self._present.add(name)
        return name in self._present

    def object(self, key: str, land: Callable[[Got], _T]) -> _T | None:
        """What `land` makes of an object; None where it isn't there, or `land` finds damage.

        Raises:
            CacheError: `land` has no room.
        """
        name = object_name(key)
        if name is None or name in self._bad or self._is_missing(name):
            return None

        def read() -> _T | None:
            found = self.place.get(name)
            return None if found is None else land(found)

        return self._read(name, read)

    def _read(self, name: str, read: Callable[[], _T | None]) -> _T | None:
        if self.rest_left > 0:
            return None
        try:
            found = read()
        except FormatError as error:
            self.damaged[name] = str(error)
            self._bad.add(name)
            found = None
        except DeniedError as error:
            if str(error) not in _MAYBE_MISSING:
                self._failed(error)
                return None
            found = None
        except PlaceError as error:
            self._failed(error)
            return None
        self._rest = REST_SECONDS
        if found is None:
            self._present.discard(name)
            self._missing[name] = time.monotonic()
        return found

    def _is_missing(self, name: str) -> bool:
        return time.monotonic() - self._missing.get(name, float("-inf")) < MISS_SECONDS

    # --- writing ----------------------------------------------------------------------------------------

    def put_row(self, key: str, row: bytes) -> bool:
        """Put a row; False where that failed."""
        name = row_name(key)
        return name is not None and self._put(name, letter.sealed(key, row))

    def put_object(self, key: str, data: memoryview) -> bool:
        """Put an object's file, whatever was there; False where that failed."""
        name = object_name(key)
        return name is not None and self._put(name, data)

    def _put(self, name: str, data: bytes | memoryview) -> bool:
        if self.denied or self.rest_left > 0:
            return False
        try:
            self.place.put(name, data)
        except DeniedError as error:
            self.denied = str(error)
            return False
        except PlaceError as error:
            self._failed(error)
            return False
        self._rest = REST_SECONDS
        self._missing.pop(name, None)
        self._bad.discard(name)
        return True

    # --- faults -----------------------------------------------------------------------------------------

    @property
    def rest_left(self) -> float:
        """Seconds for which the place is still left alone."""
        return self._rests_until - time.monotonic()

    def _failed(self, error: PlaceError) -> None:
        with self._lock:
            if self.rest_left <= 0:  # else several requests failed at once
                self._rests_until = time.monotonic() + self._rest
                self._rest = min(2 * self._rest, MOST_REST_SECONDS)
            self.fault = str(error)


def _limited(found: Got, most: int) -> Iterator[bytes]:
    """The bytes, if they are no more than they may be.

    Raises:
        FormatError: they are.
    """
    done = 0
    for part in found.parts:
        done += len(part)
        if max(done, found.size) > most:
            raise FormatError(f"it has {max(done, found.size):,} bytes; expected {most:,} at most")
        yield part


def unusable(address: str, error: PlaceError) -> RequestError:
    """What is said of a place that a run was to use."""
    return RequestError(
        f"cache.remote: {address}: {error}; expected a place that answers and can be read; without it: "
        "cache.remote=null"
    )
