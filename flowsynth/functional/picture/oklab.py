"""Oklab, a perceptual colour space: equal distances look about equally large (Ottosson 2020)."""

import torch
from torch import Tensor

from flowsynth.functional.picture.light import to_light, to_signal

__all__ = ["oklab_to_rgb", "rgb_to_oklab"]

# bottosson.github.io/posts/oklab: linear sRGB to cone responses, and their cube roots to (L, a, b).
_TO_LMS = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)


def rgb_to_oklab(rgb: Tensor) -> Tensor:
    """Convert non-linear sRGB.

    Args:
        rgb: `(..., 3, H, W)` in [0, 1].

    Returns:
        `(..., 3, H, W)`: L in [0, 1], a (green to red) and b (blue to yellow) within about [-0.4, 0.4].
    """
    lms = _mixed(to_light(rgb), torch.tensor(_TO_LMS, dtype=torch.float64))
    return _mixed(lms.clamp(min=0) ** (1 / 3), torch.tensor(_TO_LAB, dtype=torch.float64))


def oklab_to_rgb(lab: Tensor) -> Tensor:
    """Invert `rgb_to_oklab`; colours outside sRGB leave [0, 1]."""
    root = _mixed(lab, torch.tensor(_TO_LAB, dtype=torch.float64).inverse())
    return to_signal(_mixed(root**3, torch.tensor(_TO_LMS, dtype=torch.float64).inverse()))


def _mixed(x: Tensor, matrix: Tensor) -> Tensor:
    """Apply a matrix to the channels, term by term: the same bits for a pixel wherever it lies."""
    parts = x.unbind(-3)
    rows = [
        sum((w * p for w, p in zip(row, parts, strict=True)), torch.zeros_like(parts[0]))
        for row in matrix.tolist()
    ]
    return torch.stack(rows, dim=-3)
