"""Faults of fetching, one message each: what, expected, found."""

from __future__ import annotations

import os

from flowsynth.core.errors import InputError


class FetchError(InputError):
    """Something could not be had by name.

    Attributes:
        path: What was asked for, as the user names it.
        expected: What was needed.
        found: What was there instead.
    """

    exit_code = 1

    def __init__(self, path: str | os.PathLike[str], expected: str, found: str) -> None:
        self.path = str(path)
        self.expected = expected
        self.found = found
        super().__init__(f"{self.path}: expected {expected}, found {found}")


class OfflineError(FetchError):
    """It is not in the cache and there is no network, or its use is forbidden."""


class ChecksumError(FetchError):
    """Downloaded bytes are not the ones the catalogue names."""
