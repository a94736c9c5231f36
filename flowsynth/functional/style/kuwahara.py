"""Anisotropic Kuwahara filtering by offset Gaussian sectors."""

import math

import torch
from torch import Tensor

from flowsynth.functional.picture.blur import gaussian_blur
from flowsynth.functional.picture.structure import orientation
from flowsynth.functional.picture.warp import pixel_grid, sample_at

__all__ = ["kuwahara"]


def kuwahara(
    x: Tensor, radius: float, *, sharpness: float = 8.0, sectors: int = 8, stretch: float = 1.0
) -> Tensor:
    """Replace each pixel by the mean of its most even neighbouring sectors.

    After the anisotropic filter of Kyprianidis, Kang and Doellner (2009): the ellipse of `sectors` sectors
    stretches along the local structure, and sector means are averaged with weights that fall steeply with
    the sector's deviation, which makes the result continuous. A sector's window is a Gaussian displaced
    from the centre (as the smooth sectors of Papari et al. 2007), so mean and variance of every sector are
    readings of one blurred image and the cost does not depend on the radius.

    Args:
        x: `(N, C, H, W)` in [0, 1].
        radius: of the filter in pixels.
        sharpness: exponent of the weights; 0 is a blur, 8 crisp.
        sectors: number of directions.
        stretch: how far the ellipse follows the structure; 0 keeps it a circle.
    """
    spread = 0.36 * radius
    moments = gaussian_blur(torch.cat((x, x.square()), dim=1), spread)
    across, along = _axes(x, radius, stretch)
    total, weight_sum = torch.zeros_like(x), torch.zeros_like(x[:, :1])
    grid = pixel_grid(x)
    for k in range(sectors):
        angle = 2 * math.pi * k / sectors
        reading = sample_at(moments, grid + math.cos(angle) * across + math.sin(angle) * along)
        mean, square = reading.chunk(2, dim=1)
        deviation = (square - mean.square()).clamp(min=0).sum(1, keepdim=True)
        weight = 1 / (1 + (40 * deviation.sqrt() + 1e-3).pow(sharpness))
        total.addcmul_(weight, mean)
        weight_sum.add_(weight)
    return total / weight_sum


def _axes(x: Tensor, radius: float, stretch: float) -> tuple[Tensor, Tensor]:
    """Return the displacement vectors `(N, 2, H, W)` across and along the structure, in pixels."""
    tangent, anisotropy = orientation(x, sigma=max(1.0, 0.5 * radius))
    longer = 1 + stretch * anisotropy
    reach = 0.6 * radius
    normal = torch.stack((-tangent[:, 1], tangent[:, 0]), dim=1)
    return normal * reach / longer, tangent * reach * longer
