"""Sizes and places of pictures: exact area averaging, alpha-aware resizing, fitting into a box, anchors."""

from collections.abc import Callable
from fractions import Fraction
from typing import Literal

import torch
from torch import Tensor

__all__ = ["Anchor", "Mode", "anchored", "area", "fitted", "resize_with_alpha", "scaled_to_box"]

Mode = Literal["stretch", "fit", "fill", "pad"]
Anchor = Literal[
    "top_left", "top", "top_right", "left", "centre", "right", "bottom_left", "bottom", "bottom_right"
]
Resize = Callable[[Tensor, tuple[int, int]], Tensor]


def area(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize by averaging exactly the area that each target pixel covers, parts of pixels included.

    Args:
        x: floating-point `(..., H, W)`.
        size: target (height, width) in pixels, each at least 1.

    Returns:
        `(..., *size)`, never beyond the range of `x`; a mean over all pixels stays as it is.
    """
    if min(size) < 1:
        raise ValueError(f"area: height and width must be at least 1, got {size}")
    for axis, length in ((-2, size[0]), (-1, size[1])):
        if length != x.shape[axis]:
            x = _area_axis(x.transpose(axis, -1), length).transpose(axis, -1)
    return x.contiguous()


def _area_axis(x: Tensor, length: int) -> Tensor:
    """Average along the last axis: differences of the running sum, read between pixels, in float64."""
    source = x.shape[-1]
    total = torch.nn.functional.pad(x.double().cumsum(-1), (1, 0))
    edges = torch.arange(length + 1, device=x.device) * source
    below = edges.div(length, rounding_mode="floor").clamp(max=source - 1)
    share = (edges - below * length).double() / length
    at_edges = torch.lerp(total[..., below], total[..., below + 1], share)
    return (at_edges.diff(dim=-1) * (length / source)).to(x.dtype)


def resize_with_alpha(x: Tensor, size: tuple[int, int], resize: Resize) -> Tensor:
    """Resize; colours under alpha weigh by their alpha, so that hidden colours don't bleed over an edge.

    Args:
        x: `(..., C, H, W)` in [0, 1]; the last of four channels is straight alpha.
        size: target (height, width).
        resize: maps floating-point pictures and a size to that size.

    Returns:
        `(..., C, *size)`; may leave [0, 1] a little where the kernel rings.
    """
    if x.shape[-3] != 4:
        return resize(x, size)
    colour, alpha = x[..., :3, :, :], x[..., 3:, :, :]
    small = resize(torch.cat((colour * alpha, alpha), dim=-3), size)
    weight = small[..., 3:, :, :]
    plain = resize(colour, size)  # where nothing is visible, the colour is the hidden one
    shown = torch.where(weight > 1e-3, small[..., :3, :, :] / weight.clamp(min=1e-3), plain)
    return torch.cat((shown, weight), dim=-3)


def scaled_to_box(height: int, width: int, box: tuple[int, int], *, cover: bool) -> tuple[int, int]:
    """Scale a size, aspect kept, until it just fits into a box (height, width), or just covers it."""
    down, across = Fraction(box[0], height), Fraction(box[1], width)
    by_height = (down > across) is cover
    if by_height:
        return box[0], max(1, round(width * down))
    return max(1, round(height * across)), box[1]


def fitted(x: Tensor, box: tuple[int, int], mode: Mode, resize: Resize, background: Tensor) -> Tensor:
    """Bring a picture into a box.

    Args:
        x: `(N, C, H, W)` in [0, 1].
        box: (height, width) in pixels.
        mode: `stretch` to the box; `fit` inside, aspect kept; `fill` it, what sticks out is cut equally
            on both sides; `pad` as `fit`, centred on a background.
        resize: maps pictures and a size to that size.
        background: `(C,)`, for `pad`.

    Returns:
        `(N, C, *box)`, but for `fit`: as large as it comes out, at most the box.
    """
    height, width = x.shape[-2:]
    if mode == "stretch":
        return resize_with_alpha(x, box, resize)
    size = scaled_to_box(height, width, box, cover=mode == "fill")
    x = resize_with_alpha(x, size, resize)
    if mode == "fit":
        return x
    top, left = abs(size[0] - box[0]) // 2, abs(size[1] - box[1]) // 2
    if mode == "fill":
        return x[..., top : top + box[0], left : left + box[1]]
    out = background.to(x).view(1, -1, 1, 1).repeat(x.shape[0], 1, *box)
    out[..., top : top + size[0], left : left + size[1]] = x
    return out


def anchored(anchor: Anchor, inner: tuple[int, int], outer: tuple[int, int], margin: int) -> tuple[int, int]:
    """Top and left of a picture of size `inner` at a place of one of size `outer` (height, width).

    Args:
        anchor: which corner, side or the middle.
        inner: may be larger than `outer`; results may be negative.
        outer: (height, width).
        margin: pixels kept from the sides that the anchor names.
    """
    words = anchor.split("_")
    top, left = ((outer[axis] - inner[axis]) // 2 for axis in (0, 1))
    if "top" in words:
        top = margin
    elif "bottom" in words:
        top = outer[0] - inner[0] - margin
    if "left" in words:
        left = margin
    elif "right" in words:
        left = outer[1] - inner[1] - margin
    return top, left
