"""Soft edges in a few levels."""

from __future__ import annotations

from torch import Tensor

__all__ = ["quantise"]


def quantise(x: Tensor, levels: int) -> Tensor:
    """Reduce a map to a few equally spaced levels, which carry less of the picture than a smooth map does.

    ``y = min(floor(x n), n - 1) / (n - 1)`` for n levels. With 3 it is what ControlNet's "safe" annotators do
    (`safe_step` with a step of 2): 0, 1/2 and 1.

    Args:
        x: of any shape, in [0, 1].
        levels: n, at least 2.
    """
    return (x * levels).floor().clamp(max=levels - 1) / (levels - 1)
