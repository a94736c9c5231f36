"""Tone and detail: gamma, contrast, brightness, saturation, unsharp masking, soft thresholds."""

import torch
from torch import Tensor

from flowsynth.functional.picture.blur import gaussian_blur
from flowsynth.functional.picture.color import luma

__all__ = ["adjust", "smoothstep", "unsharp"]


def adjust(
    x: Tensor, *, contrast: float = 1.0, brightness: float = 0.0, saturation: float = 1.0, gamma: float = 1.0
) -> Tensor:
    """Change tones: x^(1/gamma), then (x - 1/2) contrast + 1/2 + brightness, then colour away from luma.

    Args:
        x: `(..., C, H, W)` in [0, 1]; C is 1, 3 or 4, and alpha, the last of four, stays as it is.
        contrast: gain about middle grey.
        brightness: added to every channel.
        saturation: gain on the distance from BT.601 luma; 0 gives grey. Nothing for one channel.
        gamma: above 0; larger is brighter in the middle, black and white stay.

    Returns:
        Like `x`, not clamped.
    """
    colour = x[..., :3, :, :]
    toned = colour if gamma == 1 else colour.clamp(min=0) ** (1 / gamma)
    toned = (toned - 0.5) * contrast + (0.5 + brightness) if (contrast, brightness) != (1, 0) else toned
    if saturation != 1 and toned.shape[-3] == 3:
        grey = luma(toned)
        toned = grey + (toned - grey) * saturation
    return torch.cat((toned, x[..., 3:, :, :]), dim=-3)


def unsharp(
    x: Tensor, *, sigma: float, amount: float, threshold: float = 0.0, colour: bool = False
) -> Tensor:
    """Add what a Gaussian takes away: x + amount d, d = x - blur(x), shrunk by a soft threshold.

    Args:
        x: `(..., C, H, W)` in [0, 1]; C is 1, 3 or 4, and alpha, the last of four, stays as it is.
        sigma: of the Gaussian in pixels.
        amount: gain on the detail.
        threshold: detail up to this is left alone and the rest counts from there, against noise.
        colour: sharpen each channel by its own detail; else all by that of the luma, without fringes.

    Returns:
        Like `x`, not clamped.
    """
    pixels = x[..., :3, :, :]
    guide = pixels if colour else luma(pixels)
    detail = guide - gaussian_blur(guide, sigma)
    detail = detail - detail.clamp(-threshold, threshold) if threshold > 0 else detail
    return torch.cat((pixels + amount * detail, x[..., 3:, :, :]), dim=-3)


def smoothstep(x: Tensor, low: float, high: float) -> Tensor:
    """Rise smoothly from 0 at `low` to 1 at `high`, by the cubic 3 t^2 - 2 t^3."""
    t = ((x - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)
