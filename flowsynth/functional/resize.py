"""Resampling of images: Lanczos and bicubic with antialiasing, and cropping to an aspect ratio."""

import math
from collections.abc import Callable
from fractions import Fraction

import torch
from torch import Tensor

__all__ = ["bicubic", "centre_crop_to_aspect", "lanczos", "resample", "scaled_size"]

Kernel = Callable[[Tensor], Tensor]


def lanczos_kernel(x: Tensor) -> Tensor:
    """Lanczos-3: sinc(x) sinc(x / 3) for |x| < 3."""
    return torch.where(x.abs() < 3, torch.sinc(x) * torch.sinc(x / 3), 0.0)


def bicubic_kernel(x: Tensor, a: float = -0.5) -> Tensor:
    """Keys' cubic convolution (1981) with a = -1/2, third order exact."""
    x = x.abs()
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))


def lanczos(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize with Lanczos-3, as Pillow does; may overshoot the range of `x` by some percent.

    Args:
        x: floating-point `(..., H, W)`.
        size: target (height, width) in pixels, each at least 1.

    Returns:
        `(..., *size)`.
    """
    return resample(x, size, lanczos_kernel, 3)


def bicubic(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize with Keys' cubic and antialiasing, as Pillow and torch (`antialias=True`) do.

    Args:
        x: floating-point `(..., H, W)`.
        size: target (height, width) in pixels, each at least 1.

    Returns:
        `(..., *size)`.
    """
    return resample(x, size, bicubic_kernel, 2)


def resample(x: Tensor, size: tuple[int, int], kernel: Kernel, support: int) -> Tensor:
    """Resize both axes with a separable kernel, widened by the factor of reduction against aliasing.

    Positions are kept as whole numbers over a common denominator, so weights repeat exactly: a tile of an
    image, read with enough context at a position on the grid, gives the very values of the whole.

    Args:
        x: floating-point `(..., H, W)`.
        size: target (height, width), each at least 1.
        kernel: elementwise function of the distance in source pixels.
        support: distance at which the kernel ends.
    """
    if not x.is_floating_point():
        raise ValueError(f"resample: expected floating-point values, got {x.dtype}")
    if min(size) < 1:
        raise ValueError(f"resample: height and width must be at least 1, got {size}")
    for axis, length in ((-2, size[0]), (-1, size[1])):
        if length != x.shape[axis]:
            x = _resample_axis(x, axis, length, kernel, support)
    return x


def _resample_axis(x: Tensor, axis: int, length: int, kernel: Kernel, support: int) -> Tensor:
    """Resize one axis by summing weighted gathers, one a tap of the kernel."""
    index, weight = resample_taps(x.shape[axis], length, kernel, support)
    index, weight = index.to(x.device), weight.to(x)
    shape = [1] * x.ndim
    shape[axis] = length
    total = x.index_select(axis, index[0]) * weight[0].view(shape)
    for source, share in zip(index[1:], weight[1:], strict=True):
        total.addcmul_(x.index_select(axis, source), share.view(shape))
    return total


def resample_taps(source: int, target: int, kernel: Kernel, support: int) -> tuple[Tensor, Tensor]:
    """Return for every tap the source index and the weight of each target pixel, both `(taps, target)`.

    Target pixel i lies at (i + 1/2) source / target - 1/2. Weights outside the image are dropped and the
    rest normalised, as Pillow does.
    """
    stretch = max(Fraction(source, target), Fraction(1))
    reach = math.ceil(support * stretch)
    double = (2 * torch.arange(target) + 1) * source - target  # position in units of 1 / (2 target)
    base = torch.div(double, 2 * target, rounding_mode="floor")
    fraction = (double - base * 2 * target).double() / (2 * target)
    offset = torch.arange(-reach, reach + 2)[:, None]
    index = base + offset
    weight = kernel((offset - fraction) * (1 / float(stretch)))
    weight = torch.where((index < 0) | (index >= source), 0.0, weight)
    used = (weight != 0).any(dim=1)
    index, weight = index[used].clamp(0, source - 1), weight[used]
    return index, weight / weight.sum(dim=0)


def centre_crop_to_aspect(x: Tensor, width: int, height: int) -> Tensor:
    """Cut the largest centred part of the aspect ratio `width : height`.

    Args:
        x: `(..., H, W)`.
        width: of the ratio, at least 1.
        height: of the ratio, at least 1.

    Returns:
        A view of `x`, at least 1 pixel in each direction; exact where the ratio allows, else rounded to
        the nearest pixel.
    """
    if width < 1 or height < 1:
        raise ValueError(
            f"centre_crop_to_aspect: width and height must be at least 1, got {width} x {height}"
        )
    rows, columns = x.shape[-2:]
    new_columns = min(columns, max(1, round(Fraction(rows * width, height))))
    new_rows = min(rows, max(1, round(Fraction(columns * height, width))))
    top, left = (rows - new_rows) // 2, (columns - new_columns) // 2
    return x[..., top : top + new_rows, left : left + new_columns]


def scaled_size(height: int, width: int, factor: float) -> tuple[int, int]:
    """Multiply a size by a factor, rounding to whole pixels, at least 1."""
    return max(1, round(height * factor)), max(1, round(width * factor))
