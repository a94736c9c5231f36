"""Local orientation from the smoothed structure tensor, and smoothing along it."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from flowsynth.functional.picture.blur import correlate_axis, gaussian_blur
from flowsynth.functional.picture.warp import pixel_grid, sample_grid, sampling_grid

__all__ = ["Orientation", "orientation", "smooth_along", "sobel"]

_PRIOR = 1e-4  # energy of the prior: it yields to gradients above one percent a pixel


class Orientation(NamedTuple):
    """Direction of the local structure.

    Attributes:
        tangent: `(N, 2, H, W)` unit vectors (x, y) along edges, up to sign.
        anisotropy: `(N, 1, H, W)` in [0, 1]: 0 where no direction prevails, 1 on a straight edge.
    """

    tangent: Tensor
    anisotropy: Tensor


def sobel(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the horizontal and vertical Sobel derivatives, scaled so that a unit ramp gives 1."""
    derivative, smoothing = (-0.5, 0.0, 0.5), (0.25, 0.5, 0.25)
    gx = correlate_axis(correlate_axis(x, derivative, -1, "replicate"), smoothing, -2, "replicate")
    gy = correlate_axis(correlate_axis(x, derivative, -2, "replicate"), smoothing, -1, "replicate")
    return gx, gy


def orientation(image: Tensor, sigma: float, prior: Tensor | None = None) -> Orientation:
    """Estimate edge direction by the eigenvectors of the structure tensor (Brox et al. 2006).

    Args:
        image: `(N, C, H, W)`; channels are summed (Di Zenzo's colour gradient).
        sigma: spread in pixels of the tensor's smoothing.
        prior: `(1, 1, H, W)` tangent angle in radians that prevails where the image has no structure of
            its own; without it noise decides there, differently in every frame.
    """
    gx, gy = sobel(image)
    products = torch.cat([(a * b).sum(1, keepdim=True) for a, b in ((gx, gx), (gx, gy), (gy, gy))], dim=1)
    xx, xy, yy = gaussian_blur(products, sigma, "replicate").chunk(3, dim=1)
    if prior is not None:
        xx, xy, yy = (
            xx + _PRIOR * prior.sin() ** 2,
            xy - _PRIOR * prior.sin() * prior.cos(),
            yy + _PRIOR * prior.cos() ** 2,
        )
    root = ((xx - yy).square() + 4 * xy.square()).sqrt()
    angle = 0.5 * torch.atan2(2 * xy, xx - yy)  # of the gradient; the tangent is 90 degrees on
    tangent = torch.cat((-angle.sin(), angle.cos()), dim=1)
    return Orientation(tangent, root / (xx + yy + 1e-6))


def smooth_along(x: Tensor, tangent: Tensor, sigma: float, step: float = 1.0) -> Tensor:
    """Blur `x` along the tangent field (line integral convolution with a Gaussian; Cabral 1993, Kang 2007).

    Args:
        x: `(N, C, H, W)`.
        tangent: `(N, 2, H, W)` unit vectors, sign free.
        sigma: spread along the streamline in pixels.
        step: length in pixels of an Euler step; the streamline reaches 2 sigma to either side.

    Returns:
        A tensor like `x`.
    """
    count = max(1, round(2 * sigma / step))
    weights = [math.exp(-0.5 * (i * step / sigma) ** 2) for i in range(1, count + 1)]
    channels, pixel = x.shape[1], _pixel(x)
    field = torch.cat((x, tangent * step), dim=1)  # one reading gives the value and the way on
    start = sampling_grid(pixel_grid(x), x)
    total = x.clone()
    for sign in (1, -1):
        heading = field[:, channels:] * sign
        grid = start + heading.permute(0, 2, 3, 1) * pixel
        for index, weight in enumerate(weights):
            reading = sample_grid(field, grid)
            total.add_(reading[:, :channels], alpha=weight)
            if index < count - 1:
                heading = _continue(reading[:, channels:], heading)
                grid = grid + heading.permute(0, 2, 3, 1) * pixel
    return total / (1 + 2 * sum(weights))


def _pixel(x: Tensor) -> Tensor:
    """Return the length of a pixel (x, y) in the units of `sampling_grid`."""
    return torch.tensor([2 / x.shape[-1], 2 / x.shape[-2]], dtype=x.dtype, device=x.device)


def _continue(ahead: Tensor, heading: Tensor) -> Tensor:
    """Turn a direction that is known up to sign so that it continues `heading`."""
    agree = (ahead * heading).sum(1, keepdim=True) >= 0
    return torch.where(agree, ahead, -ahead)
