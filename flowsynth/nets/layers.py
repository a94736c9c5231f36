"""Layers that the networks share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["backward_warp", "conv_prelu", "pixel_places", "resize_by"]


def conv_prelu(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution with a PReLU of one slope a channel."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.PReLU(outputs))


def pixel_places(like: Tensor) -> Tensor:
    """Where the pixels of an image lie, as `backward_warp` counts: (1, 2, H, W) of (x, y) in [-1, 1]."""
    return _lattice(like, torch.float32).permute(2, 0, 1)[None]


def _lattice(like: Tensor, dtype: torch.dtype) -> Tensor:
    """The same as (H, W, 2)."""
    height, width = like.shape[-2:]
    down = torch.linspace(-1, 1, height, device=like.device, dtype=dtype)[:, None].expand(height, width)
    right = torch.linspace(-1, 1, width, device=like.device, dtype=dtype).expand(height, width)
    return torch.stack((right, down), -1)


def backward_warp(x: Tensor, flow: Tensor, places: Tensor | None = None) -> Tensor:
    """Read `x` where a flow points to, bilinearly; beyond the border the border pixel counts.

    Args:
        x: (N, C, H, W) of any float dtype.
        flow: (N, 2, h, w) float32, (dx, dy) in pixels. Half floats can't tell the pixels of a row apart.
        places: (N or 1, 2, h, w), where in `x` the flow's pixels lie, for a part of it; else it has x's size.
    """
    height, width = x.shape[-2:]
    step = flow.new_tensor([2 / max(width - 1, 1), 2 / max(height - 1, 1)])
    here = _lattice(x, flow.dtype) if places is None else places.permute(0, 2, 3, 1)
    grid = here + flow.permute(0, 2, 3, 1) * step
    sampled = F.grid_sample(
        x.to(flow.dtype), grid, mode="bilinear", padding_mode="border", align_corners=True
    )
    return sampled.to(x.dtype)


def resize_by(x: Tensor, factor: float) -> Tensor:
    """Resize bilinearly by a factor that gives whole sides."""
    if factor == 1:
        return x
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
