"""Canny edges on tensors."""

import torch
from torch import Tensor
from torch.nn import functional as F

from flowsynth.functional.picture.blur import gaussian_blur
from flowsynth.functional.picture.color import luma
from flowsynth.functional.picture.structure import sobel

__all__ = ["canny", "gradient", "hysteresis", "luma", "thin"]


def canny(
    frames: Tensor, *, low: float = 0.08, high: float = 0.2, sigma: float = 1.0, color: bool = False
) -> Tensor:
    """Detect edges after Canny (1986): blur, Sobel, non-maximum suppression, hysteresis.

    Args:
        frames: `(T, C, H, W)` float in [0, 1], C 1 (tone) or 3 (RGB, of which the luma counts).
        low: gradient magnitude, from 0 to 1, an edge may fade to. A sharp step from black to white has
            magnitude 1 before the blur; OpenCV's 100 and 200 are about 0.1 and 0.2.
        high: magnitude that every edge reaches somewhere, at least `low`.
        sigma: spread of the blur in pixels, 0 for none.
        color: find edges between colours of one brightness too: of a pixel's channels the steepest counts, as
            in OpenCV.

    Returns:
        `(T, 1, H, W)` of exactly 0 and 1, dtype of `frames`; every line one pixel wide.

    Raises:
        ValueError: unless 0 <= low <= high <= 1.
    """
    if not 0 <= low <= high <= 1:
        raise ValueError(f"canny: expected 0 <= low <= high <= 1, got low={low}, high={high}")
    if frames.numel() == 0:
        return frames[:, :1]
    seen = frames if color else luma(frames)
    gx, gy = _steepest(*gradient(gaussian_blur(seen, sigma, "replicate")))
    magnitude = (gx.square() + gy.square()).sqrt()
    ridge = thin(magnitude, gx, gy)
    weak = ridge & (magnitude >= low) & (magnitude > 0)
    return hysteresis(weak & (magnitude >= high), weak).to(frames.dtype)


def gradient(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return horizontal and vertical Sobel responses, scaled so that a unit step gives 1."""
    gx, gy = sobel(x)
    return 2 * gx, 2 * gy


def _steepest(gx: Tensor, gy: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradient `(T, 1, H, W)` of each pixel's steepest channel, of `(T, C, H, W)`."""
    if gx.shape[1] == 1:
        return gx, gy
    channel = (gx.square() + gy.square()).argmax(dim=1, keepdim=True)
    return gx.gather(1, channel), gy.gather(1, channel)


def thin(magnitude: Tensor, gx: Tensor, gy: Tensor) -> Tensor:
    """Keep the crests of the gradient (non-maximum suppression).

    The neighbours to compare with lie one pixel up and down the gradient, where magnitude is interpolated
    linearly between two grid points. Equal neighbours count once: on the far side of the gradient.

    Args:
        magnitude: `(T, 1, H, W)`.
        gx: horizontal derivative, same shape.
        gy: vertical derivative, same shape.

    Returns:
        Boolean tensor of the same shape.
    """
    padded = F.pad(magnitude, (1, 1, 1, 1))
    height, width = magnitude.shape[-2:]

    def at(dy: int, dx: int) -> Tensor:
        return padded[..., 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]

    across = gx.abs() >= gy.abs()
    slant = torch.where(across, gy.abs() / gx.abs().clamp(min=1e-12), gx.abs() / gy.abs().clamp(min=1e-12))
    same_sign = gx * gy >= 0

    def side(sign: int) -> Tensor:
        """Interpolate on one side, in the direction whose main component is positive times `sign`."""
        straight = torch.where(across, at(0, sign), at(sign, 0))
        diagonal = torch.where(
            same_sign, at(sign, sign), torch.where(across, at(-sign, sign), at(sign, -sign))
        )
        return torch.lerp(straight, diagonal, slant)

    return (magnitude > side(1)) & (magnitude >= side(-1))


def hysteresis(strong: Tensor, weak: Tensor) -> Tensor:
    """Keep the 8-connected pieces of `weak` that hold a pixel of `strong`.

    Every weak pixel gets the least number of its piece, and pieces with a strong pixel stay. Numbers spread
    to neighbours and, by pointer jumping (Shiloach and Vishkin 1982), to all that carry the number that was
    taken over: a handful of rounds for lines of any length. Edges are sparse, so this runs on a table of the
    weak pixels' neighbours rather than on the image.

    Args:
        strong: `(T, 1, H, W)` boolean, a subset of `weak`.
        weak: `(T, 1, H, W)` boolean.

    Returns:
        Boolean `(T, 1, H, W)`.
    """
    framed = F.pad(weak, (1, 1, 1, 1))  # a margin, so that no neighbour lies in another row or frame
    place = framed.flatten().nonzero().squeeze(1)
    count, stride = place.numel(), framed.shape[-1]
    number = torch.full((framed.numel(),), count, dtype=torch.int64, device=weak.device)
    number[place] = torch.arange(count, device=weak.device)
    steps = [dy * stride + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    around = number[torch.stack([place + step for step in steps])]
    piece = _pieces(around, count)
    marked = torch.zeros(count, dtype=torch.bool, device=weak.device)
    marked[piece[strong[weak]]] = True
    out = torch.zeros_like(weak)
    out[weak] = marked[piece]
    return out


def _pieces(around: Tensor, count: int) -> Tensor:
    """Return for each of `count` pixels the least number in its piece.

    Args:
        around: `(9, count)` numbers of a pixel and its neighbours; `count` where there is none.
        count: how many pixels there are.
    """
    least = torch.arange(count + 1, device=around.device)
    while True:
        before = least
        least = F.pad(before[around].amin(dim=0), (0, 1), value=count)
        least = least.scatter_reduce(0, before, least, "amin")
        least = least[least][least]
        if torch.equal(least, before):
            return least[:-1]
