"""Turned squares in a picture: what is inside as an upright picture, and points back to where they are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Region", "crop_region", "frame_region", "to_picture"]


#: So much more than a whole number of pixels a sample need not be averaged.
_SLACK = 0.25


@dataclass(frozen=True, slots=True)
class Region:
    """A square.

    Attributes:
        x: of its middle, in pixels from the picture's left edge.
        y: of its middle, in pixels from the top edge.
        side: its length in pixels.
        angle: by which it is turned, in radians, clockwise as seen.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0


def frame_region(height: int, width: int) -> Region:
    """Return the upright square around a whole picture."""
    return Region(width / 2, height / 2, float(max(height, width)))


def crop_region(picture: Tensor, region: Region, side: int, outside: Literal["zeros", "border"]) -> Tensor:
    """Sample a region, upright, at another size.

    Args:
        picture: (1, C, H, W) float.
        region: where.
        side: of the result in pixels. If the region has more, its pixels are averaged, against aliasing.
        outside: what is outside of the picture: black, or as its border.

    Returns:
        (1, C, side, side).
    """
    reduced = max(1, int(region.side / side))
    if reduced > 1:
        picture = F.avg_pool2d(picture, reduced, ceil_mode=True)
    finer = max(1, math.ceil(region.side / (side * reduced) - _SLACK))
    line = (torch.arange(side * finer, device=picture.device) + 0.5) / (side * finer)
    y, x = torch.meshgrid(line, line, indexing="ij")
    points = to_picture(torch.stack((x, y), -1), region)
    scale = reduced * points.new_tensor([picture.shape[-1], picture.shape[-2]])
    grid = (2 * points / scale - 1)[None]
    sampled = F.grid_sample(picture, grid, mode="bilinear", padding_mode=outside, align_corners=False)
    return F.avg_pool2d(sampled, finer) if finer > 1 else sampled


def to_picture(points: Tensor, region: Region) -> Tensor:
    """Bring points from a region to the picture.

    Args:
        points: (..., 2) x and y in the region, in [0, 1] of its side.
        region: which.

    Returns:
        (..., 2) x and y in pixels of the picture.
    """
    cos, sin = math.cos(region.angle), math.sin(region.angle)
    x, y = ((points - 0.5) * region.side).unbind(-1)
    return torch.stack((region.x + x * cos - y * sin, region.y + x * sin + y * cos), -1)
