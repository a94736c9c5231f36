"""The one displacement that brings a frame over another best: for motion faster than local methods find."""

from __future__ import annotations

import torch
from torch import Tensor

from flowsynth.functional.picture.blur import gaussian_blur
from flowsynth.functional.picture.color import luma

__all__ = ["displacement", "overlap"]

_REACH = 3.0  # spread of the neighbourhood whose mean is taken out, pixels
_LEAST = 12  # sides of an overlap that tells something, pixels


def displacement(first: Tensor, second: Tensor) -> tuple[int, int]:
    """Find by how many pixels a picture has moved as a whole, by phase correlation (Kuglin and Hines 1975).

    The spectra's phases are compared with damped weak frequencies; the pictures are padded to twice their
    size, so that what leaves on one side doesn't come in on the other.

    Args:
        first: `(1, 3, H, W)` in [0, 1].
        second: alike.

    Returns:
        (down, right): what is at (y, x) in `first` is at (y + down, x + right) in `second`.
    """
    height, width = first.shape[-2:]
    size = 2 * height, 2 * width
    fade = _fade(height, first.device)[:, None] * _fade(width, first.device)
    a, b = (
        torch.fft.rfft2(fade * (y - gaussian_blur(y, _REACH)), s=size) for y in (luma(first), luma(second))
    )
    cross = a.conj() * b
    length = cross.abs()
    peaks = torch.fft.irfft2(cross / (length + 1e-3 * length.amax() + 1e-12), s=size)
    down, right = divmod(int(peaks.argmax()), size[1])
    return down - size[0] * (down >= height), right - size[1] * (right >= width)


def overlap(first: Tensor, second: Tensor, down: int, right: int) -> tuple[Tensor, Tensor] | None:
    """Cut out of both pictures `(N, C, H, W)` what they share once displaced; None if that is too little."""
    height, width = first.shape[-2:]
    rows, columns = height - abs(down), width - abs(right)
    if (down, right) == (0, 0) or min(rows, columns) < _LEAST:
        return None
    a = first[..., max(0, -down) :, max(0, -right) :]
    b = second[..., max(0, down) :, max(0, right) :]
    return a[..., :rows, :columns], b[..., :rows, :columns]


def _fade(length: int, device: torch.device) -> Tensor:
    """Weigh borders down, where a picture ends for no reason of its own."""
    return torch.hann_window(length + 2, periodic=False, device=device)[1:-1].clamp(min=0.1)
