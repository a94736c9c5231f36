"""Sampling of images at fractional positions."""

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["pixel_grid", "sample_at", "sample_grid", "sampling_grid"]


def pixel_grid(like: Tensor) -> Tensor:
    """Return the pixel coordinates (x, y) of an image, `(1, 2, H, W)`; the first pixel's centre is (0, 0)."""
    height, width = like.shape[-2:]
    y = torch.arange(height, dtype=like.dtype, device=like.device)
    x = torch.arange(width, dtype=like.dtype, device=like.device)
    return torch.stack((x.expand(height, width), y[:, None].expand(height, width)))[None]


def sample_at(x: Tensor, position: Tensor) -> Tensor:
    """Read an image at given positions, bilinearly; beyond the border the border pixel counts.

    Args:
        x: `(N, C, H, W)`.
        position: `(N or 1, 2, h, w)` pixel coordinates (x, y).

    Returns:
        `(N, C, h, w)`.
    """
    grid = sampling_grid(position, x)
    if grid.shape[0] != x.shape[0]:
        grid = grid.expand(x.shape[0], -1, -1, -1)
    return sample_grid(x, grid)


def sampling_grid(position: Tensor, x: Tensor) -> Tensor:
    """Convert `(N, 2, h, w)` pixel coordinates in `x` to the `(N, h, w, 2)` grid that torch samples at."""
    size = torch.tensor([x.shape[-1], x.shape[-2]], dtype=x.dtype, device=x.device)
    return (2 * position.permute(0, 2, 3, 1) + 1) / size - 1


def sample_grid(x: Tensor, grid: Tensor) -> Tensor:
    """Read `x` at a `sampling_grid`, bilinearly, with the border repeated."""
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
