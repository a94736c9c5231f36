"""Pictures over pictures: alpha compositing at a place, and mixing by a mask."""

import torch
from torch import Tensor

from flowsynth.functional.picture.color import luma

__all__ = ["over", "to_channels", "with_mask"]


def over(base: Tensor, picture: Tensor, top: int, left: int, opacity: float = 1.0) -> Tensor:
    """Lay a picture over another with straight alpha (Porter and Duff 1984, "over").

    Args:
        base: `(N, C, H, W)` in [0, 1]; C is 1, 3 or 4, the last of four being alpha.
        picture: `(N or 1, C, h, w)` in [0, 1]; brought to the base's channels, opaque without alpha.
        top: row of the picture's corner, may be negative.
        left: column of the picture's corner, may be negative.
        opacity: multiplies the picture's alpha.

    Returns:
        Like `base`; what sticks out of it is cut.
    """
    rows = range(max(0, top), min(base.shape[-2], top + picture.shape[-2]))
    columns = range(max(0, left), min(base.shape[-1], left + picture.shape[-1]))
    if not rows or not columns:
        return base
    place = (..., slice(rows.start, rows.stop), slice(columns.start, columns.stop))
    picture = picture[..., rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    out = base.clone()
    below = base[place]
    alpha = picture[..., 3:, :, :] if picture.shape[-3] == 4 else torch.ones_like(picture[..., :1, :, :])
    alpha = alpha * opacity
    colour = to_channels(picture, min(base.shape[-3], 3))
    if base.shape[-3] < 4:
        out[place] = torch.lerp(below, colour, alpha)
        return out
    behind = below[..., 3:, :, :] * (1 - alpha)
    total = alpha + behind
    mixed = (colour * alpha + below[..., :3, :, :] * behind) / total.clamp(min=1e-6)
    out[place] = torch.cat((torch.where(total > 1e-6, mixed, below[..., :3, :, :]), total), dim=-3)
    return out


def to_channels(x: Tensor, channels: int) -> Tensor:
    """Bring `(..., C, H, W)` to 1 (luma), 3 (grey repeated, alpha dropped) or 4 (opaque) channels."""
    if x.shape[-3] == channels:
        return x
    if channels == 1:
        return luma(x[..., :3, :, :])
    colour = x[..., :3, :, :] if x.shape[-3] > 1 else x.expand(*x.shape[:-3], 3, *x.shape[-2:])
    return colour if channels == 3 else torch.cat((colour, torch.ones_like(colour[..., :1, :, :])), dim=-3)


def with_mask(base: Tensor, other: Tensor, mask: Tensor) -> Tensor:
    """Mix two pictures: base where the mask is 0, the other where it is 1.

    Args:
        base: `(N, C, H, W)` in [0, 1].
        other: like `base`.
        mask: `(N, 1, H, W)` in [0, 1].

    Returns:
        Like `base`. Exactly the one or the other where the mask is exactly 0 or 1.
    """
    mixed = torch.lerp(base, other, mask)
    return torch.where(mask <= 0, base, torch.where(mask >= 1, other, mixed))
