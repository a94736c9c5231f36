"""Says what a picture of a shape shows, by arithmetic on its pixels: no model judges a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .shapes import COLOURS, SIZES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .pictures import Picture


@dataclass(frozen=True)
class Verdict:
    """What was seen: names of colours, size and side as captions use them; "none" without a shape."""

    background: str
    colour: str
    size: str
    side: str


def judge(picture: Picture) -> Verdict:
    """Judges a picture (uint8 HWC) of one shape on a plain background.

    The background is the median of the border; the shape is what differs from it by more than 60 levels
    in any channel.
    """
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    ground = np.median(border, 0)
    mask = np.abs(picture.astype(float) - ground).max(-1) > 60
    if mask.mean() < 0.01:
        return Verdict(nearest_colour(ground), "none", "none", "none")
    rows, columns = np.nonzero(mask)
    height, width = mask.shape
    x, y = columns.mean() / width - 0.5, rows.mean() / height - 0.5
    return Verdict(
        nearest_colour(ground), nearest_colour(np.median(picture[mask], 0)), _size(mask), _side(x, y)
    )


def nearest_colour(rgb: NDArray[np.float64]) -> str:
    """Returns the name whose colour is nearest to (3,) levels."""
    return min(COLOURS, key=lambda name: float(np.square(np.array(COLOURS[name]) - rgb).sum()))


def _size(mask: NDArray[np.bool_]) -> str:
    # A circle's radius from its area; corners of other shapes lie on a larger circle: 0.8 as a mean.
    radius = float(np.sqrt(mask.mean() / np.pi)) / 0.8
    return min(SIZES, key=lambda name: abs(SIZES[name] - radius))


def _side(x: float, y: float) -> str:
    if max(abs(x), abs(y)) < 0.11:
        return ""
    if abs(x) > abs(y):
        return "left" if x < 0 else "right"
    return "top" if y < 0 else "bottom"
