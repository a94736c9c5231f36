"""Sampling of images at fractional positions."""

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["pixel_grid", "sample_at"]


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
    height, width = x.shape[-2:]
    size = torch.tensor([width, height], dtype=x.dtype, device=x.device)
    grid = (2 * position.permute(0, 2, 3, 1) + 1) / size - 1
    if grid.shape[0] != x.shape[0]:
        grid = grid.expand(x.shape[0], -1, -1, -1)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
