"""Fill a frame with a picture, and move slowly through it."""

from __future__ import annotations

import torch
from torch import Tensor

from flowsynth.functional.picture.resize import lanczos
from flowsynth.functional.picture.warp import sample_at

__all__ = ["cover", "looked_at"]


def cover(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize a picture so that it covers a frame, and cut what stands over, evenly on both sides.

    Args:
        picture: `(1, C, H, W)` in [0, 1].
        size: (height, width) of the frame.

    Returns:
        `(1, C, *size)` in [0, 1].
    """
    height, width = picture.shape[-2:]
    scale = max(size[0] / height, size[1] / width)
    rows, columns = max(size[0], round(height * scale)), max(size[1], round(width * scale))
    resized = picture if (rows, columns) == (height, width) else lanczos(picture, (rows, columns)).clamp(0, 1)
    top, left = (rows - size[0]) // 2, (columns - size[1]) // 2
    return resized[..., top : top + size[0], left : left + size[1]]


def looked_at(picture: Tensor, size: tuple[int, int], zoom: float) -> Tensor:
    """The middle of a picture, enlarged, read bilinearly.

    Args:
        picture: `(1, C, H, W)`, best larger than the frame by the most zoom.
        size: (height, width) of the frame, of the picture's aspect.
        zoom: 1 shows the whole picture.

    Returns:
        `(1, C, *size)`.
    """
    axes = []
    for side, own in zip(size, picture.shape[-2:], strict=True):
        places = (torch.arange(side, dtype=picture.dtype, device=picture.device) + 0.5) / side
        axes.append(((places - 0.5) / zoom + 0.5) * own - 0.5)
    rows, columns = axes
    grid = torch.stack((columns.expand(size), rows[:, None].expand(size)))[None]
    return sample_at(picture, grid)
