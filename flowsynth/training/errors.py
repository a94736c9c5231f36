"""Where errors of drawings count: a small outline is one part in twenty of the mean over a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F

if TYPE_CHECKING:
    from torch import Tensor

_CONTRAST = 0.15  # of a channel's range: the two nearest colours of drawings differ by a quarter


def mean_where(errors: Tensor, where: Tensor) -> Tensor:
    """Returns each picture's mean of errors (B, C, h, w) where (B, 1, h, w) is 1: (B,), or 0."""
    return (errors.mean(1) * where[:, 0]).sum((1, 2)) / where.sum((1, 2, 3)).clamp(min=1)


def beside_lines(lines: Tensor) -> Tensor:
    """Marks the latents (B, 1, h, w) on and next to lines (B, 3, 4h, 4w) in [0, 1]."""
    return F.max_pool2d(F.max_pool2d(lines[:, :1], 4), 3, stride=1, padding=1)


def on_shapes(pixels: Tensor) -> Tensor:
    """Marks the latents (B, 1, h, w) that shapes cover in drawings (B, 3, 4h, 4w) in [0, 1]."""
    stands_out = (pixels - pixels[:, :, :1, :1]).abs().amax(1, keepdim=True) > _CONTRAST
    return F.max_pool2d(stands_out.to(pixels.dtype), 4)
