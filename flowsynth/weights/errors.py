"""The fault of a weight file."""

from __future__ import annotations


class WeightsError(ValueError):
    """A file is not what its format says, or is damaged."""
