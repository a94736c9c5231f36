"""Layers that the networks share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["backward_warp", "conv_prelu", "resize_by"]


def conv_prelu(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution with a PReLU of one slope a channel."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.PReLU(outputs))


def backward_warp(x: Tensor, flow: Tensor) -> Tensor:
    """Read `x` where a flow points to, bilinearly; beyond the border the border pixel counts.

    Args:
        x: (N, C, H, W) of any float dtype.
        flow: (N, 2, H, W) float32, (dx, dy) in pixels. Half floats can't tell the pixels of a row apart.
    """
    height, width = x.shape[-2:]
    down = torch.linspace(-1, 1, height, device=x.device, dtype=flow.dtype)[:, None].expand(height, width)
    right = torch.linspace(-1, 1, width, device=x.device, dtype=flow.dtype).expand(height, width)
    step = flow.new_tensor([2 / max(width - 1, 1), 2 / max(height - 1, 1)])
    grid = torch.stack((right, down), -1) + flow.permute(0, 2, 3, 1) * step
    sampled = F.grid_sample(
        x.to(flow.dtype), grid, mode="bilinear", padding_mode="border", align_corners=True
    )
    return sampled.to(x.dtype)


def resize_by(x: Tensor, factor: float) -> Tensor:
    """Resize bilinearly by a factor that gives whole sides."""
    if factor == 1:
        return x
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
