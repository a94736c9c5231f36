"""Says how well a picture keeps the lines of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from flowsynth.training.judge import Mask


def edge_f1(made: Mask, wanted: Mask, reach: int = 2) -> float:
    """Returns the boundary F1 of edges (H, W) that may lie up to ``reach`` pixels apart.

    Precision is the share of made edge pixels near a wanted one, recall that of wanted ones near a made
    one; F1 their harmonic mean (Martin, Fowlkes and Malik 2004, with dilation for the matching). 1 where
    both are empty, 0 where one is.
    """
    if not made.any() or not wanted.any():
        return float(made.any() == wanted.any())
    precision = float(_grown(wanted, reach)[made].mean())
    recall = float(_grown(made, reach)[wanted].mean())
    return 2 * precision * recall / max(precision + recall, 1e-9)


def _grown(mask: Mask, reach: int) -> Mask:
    """The pixels within a distance of a mask's."""
    padded = np.pad(mask, reach)
    height, width = mask.shape
    grown = np.zeros_like(mask)
    for down in range(-reach, reach + 1):
        for across in range(-reach, reach + 1):
            if down * down + across * across <= reach * reach:
                top, left = reach + down, reach + across
                grown |= padded[top : top + height, left : left + width]
    return grown
