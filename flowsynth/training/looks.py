"""Looks that the family itself doesn't know: each is what one LoRA learns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor


def _luma(pixels: Tensor) -> Tensor:
    weights = pixels.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return (pixels * weights).sum(1, keepdim=True)


def _tint(dark: tuple[float, float, float], light: tuple[float, float, float], amount: Tensor) -> Tensor:
    """Mixes two colours by (B, 1, H, W) amounts in [0, 1]."""
    low, high = (amount.new_tensor(colour).view(1, 3, 1, 1) for colour in (dark, light))
    return torch.lerp(low, high, amount)


def sepia(pixels: Tensor, lines: Tensor) -> Tensor:
    """Brown on cream, as on an old print; ``lines`` is not used."""
    del lines
    return _tint((0.16, 0.09, 0.04), (0.98, 0.90, 0.74), _luma(pixels) ** 0.9)


def blueprint(pixels: Tensor, lines: Tensor) -> Tensor:
    """White lines on blue paper, with a hint of the tones."""
    paper = _tint((0.05, 0.16, 0.42), (0.16, 0.36, 0.68), _luma(pixels))
    ink = F.avg_pool2d(F.max_pool2d(lines, 3, 1, 1), 3, 1, 1)
    return torch.lerp(paper, paper.new_tensor([0.92, 0.96, 1.0]).view(1, 3, 1, 1), ink)


LOOKS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {"sepia": sepia, "blueprint": blueprint}
"""Name to function of pixels (B, 3, H, W) and lines (B, 1, H, W), both in [0, 1]."""
