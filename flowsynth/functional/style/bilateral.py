"""Edge-preserving smoothing: an iterated bilateral filter, and guided enlargement."""

import torch
from torch import Tensor
from torch.nn import functional as F

from flowsynth.functional.picture.blur import gaussian_blur, pad_axis

__all__ = ["bilateral", "guided_enlarge"]


def bilateral_axis(x: Tensor, axis: int, radius: int, sigma_space: float, sigma_range: float) -> Tensor:
    """Filter one axis; the weight of a neighbour falls with its distance and with its colour's distance.

    Two pixels weigh the same to one another, so a pair's weight is found once.
    """
    padded = pad_axis(x, axis, radius, radius, "replicate")
    size = x.shape[axis]
    total, weight_sum = x.clone(), torch.ones_like(x[:, :1])
    for offset in range(1, radius + 1):
        pairs = size + offset
        earlier = padded.narrow(axis, radius - offset, pairs)
        later = padded.narrow(axis, radius, pairs)
        distance = (later - earlier).square_().sum(1, keepdim=True)
        weight = distance.mul_(-0.5 / sigma_range**2).sub_(offset**2 / (2 * sigma_space**2)).exp_()
        for first, neighbour in (
            (0, earlier.narrow(axis, 0, size)),
            (offset, later.narrow(axis, offset, size)),
        ):
            weighed = weight.narrow(axis, first, size)
            total.addcmul_(weighed, neighbour)
            weight_sum.add_(weighed)
    return total.div_(weight_sum)


def bilateral(x: Tensor, sigma_space: float, sigma_range: float, iterations: int = 1) -> Tensor:
    """Smooth within regions and keep edges.

    The separable approximation of Pham and van Vliet (2005), iterated as in Winnemoeller et al. (2006):
    several narrow passes flatten more evenly than one wide pass, and cost O(radius) a pixel.

    Args:
        x: `(N, C, H, W)`; range distance is Euclidean over the channels.
        sigma_space: spread in pixels, cut at twice its value.
        sigma_range: spread in the units of `x`.
        iterations: number of passes (each horizontal, then vertical).
    """
    radius = max(1, round(2 * sigma_space))
    for _ in range(iterations):
        for axis in (-1, -2):
            x = bilateral_axis(x, axis, radius, sigma_space, sigma_range)
    return x


def guided_enlarge(small: Tensor, small_guide: Tensor, guide: Tensor, sigma: float, eps: float) -> Tensor:
    """Enlarge `small` with the edges of `guide` (fast guided filter, He and Sun 2015), channel by channel.

    Args:
        small: `(N, C, h, w)` filtered at the reduced size.
        small_guide: `(N, C, h, w)`, the image that was filtered.
        guide: `(N, C, H, W)`, the same image at full size.
        sigma: window of the local linear model, in reduced pixels.
        eps: variance below which the guide's detail is left out, in squared units of the images.
    """
    mean_i, mean_p = gaussian_blur(small_guide, sigma), gaussian_blur(small, sigma)
    covariance = gaussian_blur(small_guide * small, sigma) - mean_i * mean_p
    variance = gaussian_blur(small_guide.square(), sigma) - mean_i.square()
    slope = covariance / (variance + eps)
    model = torch.cat((slope, mean_p - slope * mean_i), dim=1)
    model = F.interpolate(model, size=guide.shape[-2:], mode="bilinear", align_corners=False)
    gain, bias = model.chunk(2, dim=1)
    return gain * guide + bias
