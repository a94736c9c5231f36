"""Dense optical flow without a network, occlusion by agreement of both directions, and warping.

A flow `(N, 2, H, W)` holds (dx, dy) in pixels: what is at x in one frame is at x + flow(x) in the other.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from flowsynth.functional.picture.blur import gaussian_blur
from flowsynth.functional.picture.warp import pixel_grid, sample_at

__all__ = ["classical_flow", "occlusion", "resize_flow", "warp"]

#: Side of the coarsest level, pixels: motion up to about a third of it is found.
_COARSEST = 12
_STEPS = 5
_REACH = 2.0  # spread of the window that a pixel's motion is estimated in, pixels
_CONTRAST_REACH = 6.0  # spread of the neighbourhood whose mean and contrast are taken out, pixels


def warp(picture: Tensor, flow: Tensor) -> Tensor:
    """Read the other frame where the flow says that each pixel is now; bilinear, the border repeated.

    Args:
        picture: `(N, C, H, W)`, the frame that the flow leads to.
        flow: `(N, 2, H, W)` in pixels.

    Returns:
        `(N, C, H, W)`: `picture` as seen from the frame that the flow starts in.
    """
    return sample_at(picture, pixel_grid(picture) + flow)


def occlusion(forward: Tensor, backward: Tensor) -> Tensor:
    """Find the pixels that the other frame does not show.

    A pixel is visible where the flow back from where it went returns to it:
    |f(x) + b(x + f(x))|^2 <= 0.01 (|f(x)|^2 + |b(x + f(x))|^2) + 0.5 (Sundaram, Brox and Keutzer 2010), and
    where it went is inside the frame.

    Args:
        forward: `(N, 2, H, W)` from the frame in question to the other, pixels.
        backward: `(N, 2, H, W)` back.

    Returns:
        `(N, 1, H, W)` float32: 1 where occluded, else 0.
    """
    back = warp(backward, forward)
    gap = (forward + back).square().sum(dim=1, keepdim=True)
    lengths = forward.square().sum(dim=1, keepdim=True) + back.square().sum(dim=1, keepdim=True)
    position = pixel_grid(forward) + forward
    last = torch.tensor([forward.shape[-1] - 1, forward.shape[-2] - 1], device=forward.device)
    outside = ((position < -0.5) | (position > last.view(1, 2, 1, 1) + 0.5)).any(dim=1, keepdim=True)
    return ((gap > 0.01 * lengths + 0.5) | outside).float()


def resize_flow(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring a flow to another size; its vectors grow with the picture."""
    height, width = flow.shape[-2:]
    scale = torch.tensor([size[1] / width, size[0] / height], dtype=flow.dtype, device=flow.device)
    resized = F.interpolate(flow, size=size, mode="bilinear", align_corners=False)
    return resized * scale.view(1, 2, 1, 1)


def classical_flow(first: Tensor, second: Tensor) -> Tensor:
    """Estimate the motion from one frame to another by Lucas and Kanade's method, coarse to fine.

    At each level of a pyramid (ratio 1/2) the flow is improved a few times by the least-squares step
    (sum g g^T + e) d = -sum g r over a Gaussian window, with gradients g and residuals r of all channels
    (Lucas and Kanade 1981; Bouguet 2001). Frames are compared by local contrast, (x - mean) / deviation, so
    that flicker of brightness does not look like motion. Where there is no texture, the flow of the
    coarser level stays.

    Args:
        first: `(N, C, H, W)` floating point in [0, 1].
        second: `(N, C, H, W)`.

    Returns:
        `(N, 2, H, W)` float32, pixels: `first(x) = second(x + flow(x))`.
    """
    sizes = _pyramid(first.shape[-2], first.shape[-1])
    flow = first.new_zeros(first.shape[0], 2, *sizes[0])
    for size in sizes:
        a, b = (_local_contrast(_reduce(x, size)) for x in (first, second))
        flow = _refine(a, b, resize_flow(flow, size))
    return flow


def _pyramid(height: int, width: int) -> list[tuple[int, int]]:
    """Return the sizes of the levels, coarse to fine."""
    sizes = [(height, width)]
    while min(sizes[-1]) >= 2 * _COARSEST:
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    return sizes[::-1]


def _reduce(picture: Tensor, size: tuple[int, int]) -> Tensor:
    return picture if picture.shape[-2:] == size else F.interpolate(picture, size=size, mode="area")


def _local_contrast(picture: Tensor) -> Tensor:
    """Take out the local mean and divide by the local deviation."""
    centred = picture - gaussian_blur(picture, _CONTRAST_REACH)
    deviation = gaussian_blur(centred.square(), _CONTRAST_REACH).mean(dim=1, keepdim=True).sqrt()
    return centred / (deviation + 0.02)


def _refine(a: Tensor, b: Tensor, flow: Tensor) -> Tensor:
    """Take the steps of one level, keeping a step only where it brings the windows closer."""
    warped = warp(b, flow)
    error = _window((warped - a).square().mean(dim=1, keepdim=True))
    for _ in range(_STEPS):
        moved = flow + _step(a, warped)
        # A window's motion is its pixels' together: steps are smoothed as the sums are.
        moved = _window(moved)
        there = warp(b, moved)
        after = _window((there - a).square().mean(dim=1, keepdim=True))
        better = after < error
        flow = torch.where(better, moved, flow)
        error, warped = torch.where(better, after, error), torch.where(better, there, warped)
    return flow


def _step(a: Tensor, warped: Tensor) -> Tensor:
    """Solve the 2 x 2 systems of all windows; at most one pixel along each axis."""
    mean = 0.5 * (a + warped)
    padded = F.pad(mean, (1, 1, 1, 1), mode="replicate")
    gx = 0.5 * (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2])
    gy = 0.5 * (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1])
    residual = warped - a
    products = torch.stack([gx * gx, gx * gy, gy * gy, gx * residual, gy * residual], dim=1).mean(dim=2)
    xx, xy, yy, xr, yr = _window(products).unbind(dim=1)
    xx, yy = xx + 1e-3, yy + 1e-3
    determinant = xx * yy - xy * xy
    right = (xy * yr - yy * xr) / determinant
    down = (xy * xr - xx * yr) / determinant
    return torch.stack((right, down), dim=1).clamp(-1, 1)


def _window(x: Tensor) -> Tensor:
    return gaussian_blur(x, _REACH, border="replicate")
