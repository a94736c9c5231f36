"""Luma, chroma and tone: the colour arithmetic that edges and styles share."""

import torch
from torch import Tensor

__all__ = ["luma", "rgb_to_ycc", "saturate", "soft_steps", "ycc_to_rgb"]

_KR, _KG, _KB = 0.299, 0.587, 0.114


def luma(frames: Tensor) -> Tensor:
    """Return ITU-R BT.601 luma of non-linear RGB.

    Args:
        frames: `(..., 3, H, W)`, or `(..., 1, H, W)`, which is returned as it is.

    Returns:
        `(..., 1, H, W)` in the range of the input.
    """
    channels = frames.shape[-3]
    if channels == 1:
        return frames
    if channels != 3:
        raise ValueError(f"luma: expected 1 or 3 channels, got {channels} in shape {tuple(frames.shape)}")
    red, green, blue = frames.unbind(-3)
    return (_KR * red + _KG * green + _KB * blue).unsqueeze(-3)


def rgb_to_ycc(frames: Tensor) -> Tensor:
    """Convert RGB in [0, 1] to (Y, Cb, Cr) of BT.601, Y in [0, 1], chroma in [-0.5, 0.5]."""
    y = luma(frames)
    red, blue = frames[..., 0:1, :, :], frames[..., 2:3, :, :]
    return torch.cat((y, (blue - y) / (2 * (1 - _KB)), (red - y) / (2 * (1 - _KR))), dim=-3)


def ycc_to_rgb(ycc: Tensor) -> Tensor:
    """Invert `rgb_to_ycc`, without clamping."""
    y, cb, cr = ycc.unbind(-3)
    red = y + 2 * (1 - _KR) * cr
    blue = y + 2 * (1 - _KB) * cb
    green = (y - _KR * red - _KB * blue) / _KG
    return torch.stack((red, green, blue), dim=-3)


def saturate(ycc: Tensor, factor: float) -> Tensor:
    """Scale chroma by `factor` near grey, rolling off to no gain at chroma 0.5 so that nothing clips hard."""
    chroma = ycc[..., 1:, :, :]
    strength = chroma.square().sum(-3, keepdim=True).sqrt()
    gain = 1 + (factor - 1) * (1 - 2 * strength).clamp(0, 1)
    return torch.cat((ycc[..., :1, :, :], chroma * gain), dim=-3)


def soft_steps(x: Tensor, levels: int, sharpness: float) -> Tensor:
    """Quantise to `levels` plateaus joined by smooth ramps (soft quantisation, Winnemoeller 2006, eq. 6).

    Each step is a normalised tanh centred between two plateaus, so the map is continuous and monotone:
    a small change of brightness between frames moves the result a little and never flips it.

    Args:
        x: values in [0, 1].
        levels: number of plateaus, at least 2.
        sharpness: slope of the ramps; near 0 gives the identity, 10 nearly hard steps.

    Returns:
        Values in [0, 1]; 0 and 1 map to themselves.
    """
    scaled = x.clamp(0, 1) * (levels - 1)
    base = scaled.floor().clamp(max=levels - 2)
    ramp = torch.tanh((scaled - base - 0.5) * sharpness) / torch.tanh(torch.tensor(0.5 * sharpness)).item()
    return (base + 0.5 + 0.5 * ramp) / (levels - 1)
