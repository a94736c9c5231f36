"""Grids of vectors brought to another size: torch's filters, and one that keeps the vectors' length."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["GridMethod", "resized", "slerp"]

GridMethod = Literal["nearest", "bilinear", "bicubic", "area", "slerp"]


def resized(x: Tensor, size: tuple[int, int], method: GridMethod) -> Tensor:
    """Resize without antialiasing; ``area`` means over what a cell covers.

    Args:
        x: float32 `(N, C, H, W)`.
        size: target (height, width).
        method: see :class:`flowsynth.operators.diffusion.resize_latents.ResizeLatents`.
    """
    if tuple(x.shape[-2:]) == size:
        return x
    if method == "slerp":
        return _slerp_axis(_slerp_axis(x, size[1]).mT, size[0]).mT.contiguous()
    if method in ("bilinear", "bicubic"):
        return F.interpolate(x, size=size, mode=method, align_corners=False)
    return F.interpolate(x, size=size, mode="nearest-exact" if method == "nearest" else method)


def slerp(one: Tensor, two: Tensor, share: Tensor) -> Tensor:
    """Between two vectors along the arc, lengths linearly (Shoemake 1985).

    Args:
        one: `(..., C, ..)` with the vectors along axis 1.
        two: like `one`.
        share: of `two`, broadcast to them.
    """
    lengths = one.norm(dim=1, keepdim=True), two.norm(dim=1, keepdim=True)
    units = [v / length.clamp(min=1e-12) for v, length in zip((one, two), lengths, strict=True)]
    cosine = (units[0] * units[1]).sum(dim=1, keepdim=True).clamp(-1, 1)
    angle = cosine.acos()
    sine = angle.sin()
    plain = sine < 1e-5  # (nearly) parallel: the line, where the arc is not defined
    safe = torch.where(plain, torch.ones_like(sine), sine)
    arc = (((1 - share) * angle).sin() / safe) * units[0] + ((share * angle).sin() / safe) * units[1]
    line = torch.lerp(units[0], units[1], share.expand_as(units[0]))
    made: Tensor = torch.where(plain, line, arc) * torch.lerp(*lengths, share.expand_as(lengths[0]))
    return made


def _slerp_axis(x: Tensor, length: int) -> Tensor:
    """Interpolate along the last axis, with pixels' middles as `align_corners=False` has them."""
    source = x.shape[-1]
    if source == length:
        return x
    at = ((torch.arange(length, device=x.device) + 0.5) * source / length - 0.5).clamp(0, source - 1)
    below = at.floor().long()
    above = (below + 1).clamp(max=source - 1)
    return slerp(x[..., below], x[..., above], (at - below).to(x))
