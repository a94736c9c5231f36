"""Working planes: work is done on a picture reduced to what the step needs, at a cost that hardly grows."""

import torch
from torch import Tensor
from torch.nn import functional as F

from flowsynth.functional.picture.blur import gaussian_blur
from flowsynth.functional.picture.tone import smoothstep

__all__ = ["detail", "enlarged", "reduced", "short_side", "units"]


def short_side(x: Tensor) -> int:
    """Return the shorter side of `(..., H, W)` in pixels."""
    return min(x.shape[-2], x.shape[-1])


def units(x: Tensor) -> float:
    """Return the length in pixels of a 144th of the short side: lengths scale with the picture."""
    return short_side(x) / 144


def reduced(x: Tensor, side: int) -> Tensor:
    """Reduce `(N, C, H, W)` to a short side of at most `side`, antialiased; smaller ones stay."""
    short = short_side(x)
    if short <= side:
        return x
    size = [max(1, round(length * side / short)) for length in x.shape[-2:]]
    return F.interpolate(x, size=size, mode="bilinear", antialias=True, align_corners=False)


def enlarged(x: Tensor, like: Tensor, mode: str = "bilinear") -> Tensor:
    """Bring a plane to the height and width of `like`, smoothly."""
    size = like.shape[-2:]
    if x.shape[-2:] == size:
        return x
    # With `antialias` torch enlarges separably, three times as fast.
    return F.interpolate(x, size=size, mode=mode, antialias=True, align_corners=False)


def detail(tone: Tensor, base: Tensor, sigma: float, low: float, high: float) -> tuple[Tensor, Tensor]:
    """Find the detail that a simplified picture lost and that matters: eyes, lettering, thin bright lines.

    What matters stands out from its surroundings by contrast, relative to their brightness, over more than a
    few pixels: the root mean square of d / (.45 + .55 base), d = tone - base, through a soft threshold.

    Args:
        tone: `(N, 1, H, W)` luma of the source.
        base: that of the simplified picture.
        sigma: spread of the mean, pixels of planes at half the size.
        low: contrast from which detail counts.
        high: contrast from which it counts in full.

    Returns:
        The detail d and its weight in [0, 1], each `(N, 1, H, W)`.
    """
    lost = tone - base
    energy = (lost / (0.45 + 0.55 * base.clamp(0, 1))).square()
    half = F.avg_pool2d(energy, 2) if short_side(tone) >= 64 else energy
    contrast = gaussian_blur(half, sigma).clamp(min=0).sqrt()
    return lost, smoothstep(enlarged(contrast, tone), low, high)


def deviation(plane: Tensor, sigma: float) -> Tensor:
    """Return the local standard deviation of a plane within a Gaussian of `sigma` pixels."""
    mean = gaussian_blur(plane, sigma)
    return (gaussian_blur(plane.square(), sigma) - mean.square()).clamp(min=0).sqrt()


def bicubic_enlarged(x: Tensor, like: Tensor) -> Tensor:
    """Bring a plane to the size of `like` by a cubic, sharper than `enlarged`; may overshoot."""
    return enlarged(x, like, "bicubic")


def stacked(tone: Tensor, chroma: Tensor) -> Tensor:
    """Join a tone `(N, 1, H, W)` and chroma `(N, 2, H, W)`."""
    return torch.cat((tone, chroma), dim=1)
