"""Why a node cannot be imported."""

from __future__ import annotations


class CannotMapError(Exception):
    """A node, or what it is given, has no counterpart here; the text says what and what would do."""


class SkippedError(Exception):
    """A node reads from one that cannot be imported: it is not at fault itself."""
