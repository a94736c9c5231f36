"""Linear light and luminance of sRGB (IEC 61966-2-1)."""

import torch
from torch import Tensor

__all__ = ["luminance", "to_light", "to_signal"]


def to_light(signal: Tensor) -> Tensor:
    """Convert sRGB values in [0, 1] to linear light; values below 0 count as 0."""
    return torch.where(signal <= 0.04045, signal / 12.92, ((signal.clamp(min=0) + 0.055) / 1.055) ** 2.4)


def to_signal(light: Tensor) -> Tensor:
    """Convert linear light to sRGB values; light beyond 1 leaves [0, 1]."""
    curve = 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(light <= 0.0031308, light * 12.92, curve)


def luminance(light: Tensor) -> Tensor:
    """Return the luminance `(..., 1, H, W)` of linear light (BT.709), or one channel as it is."""
    if light.shape[-3] == 1:
        return light
    red, green, blue = light.unbind(-3)
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue).unsqueeze(-3)
