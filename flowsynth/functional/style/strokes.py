"""Pencil strokes in any direction: a bank of noise tiles, each of one direction, mixed pixel by pixel."""

import math
from functools import lru_cache

import torch
from torch import Tensor

from flowsynth.functional.style.texture import lattice_noise

__all__ = ["strokes"]

_SIDE = 512  # of a tile, pixels
_DIRECTIONS = 9
_WIDTH, _LENGTH = 0.22, 0.055  # spreads in frequency, of 1 / spacing: how even strokes are, and how short


def strokes(cosine: Tensor, sine: Tensor, spacing: float) -> Tensor:
    """Draw strokes that follow a field of directions, of mean 0 and deviation 1; positive is graphite.

    Each pixel mixes the tiles of the nearest directions, of nine that lie 20 degrees apart, by
    cos(2 (angle - direction))^9, divided by the weights' norm, which keeps the contrast of a single tile.

    Args:
        cosine: `(N, 1, H, W)`, of twice the angle of the strokes.
        sine: alike.
        spacing: distance between strokes in pixels.

    Returns:
        `(N, 1, H, W)`.
    """
    height, width = cosine.shape[-2:]
    total, norm = torch.zeros_like(cosine), torch.zeros_like(cosine)
    for number, tile in enumerate(_bank(spacing).to(cosine.device)):
        angle = 2 * math.pi * number / _DIRECTIONS
        near = (cosine * math.cos(angle) + sine * math.sin(angle)).clamp(min=0)
        weight = near * near.square().square().square()
        sheet = tile.repeat(-(-height // _SIDE), -(-width // _SIDE))[:height, :width]
        total.addcmul_(weight, sheet)
        norm.addcmul_(weight, weight)
    return total / norm.clamp(min=1e-6).sqrt()


@lru_cache(maxsize=4)
def _bank(spacing: float) -> Tensor:
    """Return tiles of strokes, `(9, 512, 512)`: noise filtered by a Gabor filter a direction.

    Lagae et al., "Procedural noise using sparse Gabor convolution", 2009; made by Fourier transform, so
    that tiles join without a seam.
    """
    noise = lattice_noise(_SIDE, _SIDE, 77, torch.device("cpu"))[0, 0] - 0.5
    spectrum = torch.fft.fft2(noise)
    down, right = torch.fft.fftfreq(_SIDE)[:, None], torch.fft.fftfreq(_SIDE)
    tiles = []
    for number in range(_DIRECTIONS):
        angle = math.pi * number / _DIRECTIONS
        along = right * math.cos(angle) + down * math.sin(angle)
        across = down * math.cos(angle) - right * math.sin(angle)
        side = ((across.abs() * spacing - 1) / _WIDTH).square() + (along * spacing / _LENGTH).square()
        tile = torch.fft.ifft2(spectrum * torch.exp(-0.5 * side)).real
        tiles.append(tile / tile.std())
    return torch.stack(tiles)
