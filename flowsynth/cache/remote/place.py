"""What a place that several machines reach has to offer: bytes under names, and two ways to fail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from flowsynth.core.errors import RequestError, RunError

#: Bytes a time: of a larger one the parts are written before the next is read.
PART = 8 << 20
#: Lies in a place that is a cache of ours.
MARK = "flowsynth-cache"
#: What is said where a store was not told who asks.
NO_CREDENTIALS = "no credentials in the environment"
#: Reasons of object stores for which nothing there can be used, as S3 names them.
REFUSALS = frozenset({"NoSuchBucket", "InvalidBucketName", "ExpiredToken", "InvalidToken"})
_OBJECT = re.compile(r"[0-9a-f]{40}")
_ROW = re.compile(r"(graph:)?[0-9a-f]{40}")


class Got(NamedTuple):
    """What lies under a name.

    Attributes:
        size: bytes that there are said to be.
        parts: the bytes; reading on may raise a `PlaceError`.
    """

    size: int
    parts: Iterator[bytes]


class Place(Protocol):
    """Bytes under names such as ``objects/ab/abcd...``. Safe for threads.

    What is put is there in full or not at all, and takes the place of what was there. All methods raise
    `GoneError` where the place does not answer, and `DeniedError` where it refuses.
    """

    def get(self, name: str) -> Got | None:
        """What lies under a name, or None."""
        ...

    def size(self, name: str) -> int | None:
        """How many bytes lie under a name, or None where nothing does."""
        ...

    def put(self, name: str, data: bytes | memoryview) -> None:
        """Put bytes under a name."""
        ...


class PlaceError(RunError):
    """A place cannot be used; the text says why in a few words, without addresses or credentials."""


class GoneError(PlaceError):
    """It does not answer, or answers nonsense."""


class DeniedError(PlaceError):
    """It refuses: wrong credentials, no such bucket, no right to write."""


def settings_refused(address: str, error: Exception) -> RequestError:
    """What is said where a store's client cannot use what the environment holds; no word of that itself."""
    return RequestError(
        f"cache.remote: {address}: the environment's settings of it cannot be used ({type(error).__name__});"
        " expected credentials and endpoint as the vendor's own programs take them"
    )


def object_name(key: str) -> str | None:
    """Under what name an object lies in a place; None for one whose name is no hash of its content."""
    return f"objects/{key[:2]}/{key}" if _OBJECT.fullmatch(key) else None


def row_name(key: str) -> str | None:
    """Under what name a row lies in a place; None for keys of this machine only."""
    if not _ROW.fullmatch(key):
        return None
    kind, _, digits = key.rpartition(":")
    return f"{'graphs' if kind else 'rows'}/{digits[:2]}/{digits}"
