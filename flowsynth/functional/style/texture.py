"""Noise fixed by position: paper grain that stays put from frame to frame."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["lattice_noise", "paper_grain", "value_noise"]


def lattice_noise(height: int, width: int, seed: int, device: torch.device) -> Tensor:
    """Hash integer coordinates to uniform values in [0, 1), `(1, 1, H, W)`.

    An integer hash rather than a random generator: the value at a lattice point depends on the point and
    the seed alone, not on the size, the device or torch's version.
    """
    y = torch.arange(height, dtype=torch.int64, device=device)[:, None]
    x = torch.arange(width, dtype=torch.int64, device=device)[None]
    value = (x * 374761393 + y * 668265263 + seed * 2147483647) & 0xFFFFFFFF
    value = ((value ^ (value >> 13)) * 1274126177) & 0xFFFFFFFF
    value = ((value ^ (value >> 16)) * 2246822519) & 0xFFFFFFFF
    return ((value ^ (value >> 15)) & 0xFFFFFF).float()[None, None] / 2**24


def value_noise(height: int, width: int, cell: float, seed: int, device: torch.device) -> Tensor:
    """Interpolate lattice noise whose points lie `cell` pixels apart; about [-1, 1], `(1, 1, H, W)`."""
    rows, columns = math.ceil(height / cell) + 3, math.ceil(width / cell) + 3
    lattice = 2 * lattice_noise(rows, columns, seed, device) - 1
    size = [max(height, round(rows * cell)), max(width, round(columns * cell))]
    return F.interpolate(lattice, size=size, mode="bicubic", align_corners=False)[..., :height, :width]


def paper_grain(height: int, width: int, scale: float, device: torch.device, seed: int = 7) -> Tensor:
    """Sum two octaves of noise into a cold-pressed grain, about [-1, 1], `(1, 1, H, W)`.

    Args:
        height: pixels.
        width: pixels.
        scale: size of the coarser grain in pixels.
        device: where the result lies.
        seed: another seed, another sheet.
    """
    coarse = value_noise(height, width, max(1.5, scale), seed, device)
    fine = value_noise(height, width, max(1.0, scale / 2.5), seed + 1, device)
    return 0.6 * coarse + 0.4 * fine
