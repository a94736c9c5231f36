"""Resampling of images: Lanczos and bicubic with antialiasing, and cropping to an aspect ratio."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["bicubic", "centre_crop_to_aspect", "lanczos", "resample"]

Kernel = Callable[[Tensor], Tensor]

_MOST_PHASES = 64  # beyond it, gathering beats many short strided views


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
    axes = [(-1, size[1]), (-2, size[0])]
    if size[0] < x.shape[-2]:
        axes.reverse()  # rows are quicker to read than columns: drop them first, add them last
    for axis, length in axes:
        if length != x.shape[axis]:
            x = _resample_axis(x, axis, length, kernel, support)
    return x


def _resample_axis(x: Tensor, axis: int, length: int, kernel: Kernel, support: int) -> Tensor:
    """Resize one axis; weights outside the image are dropped and the rest normalised, as Pillow does."""
    phases = length // math.gcd(length, x.shape[axis])
    taps = resample_taps(x.shape[axis], length, kernel, support)
    out = _by_phase(x, axis, taps, phases) if phases <= _MOST_PHASES else _by_tap(x, axis, taps)
    shape = [1] * x.ndim
    shape[axis] = length
    return out.mul_(taps.gain.to(x).view(shape))


class Taps(NamedTuple):
    """How the pixels of one axis are mixed.

    Attributes:
        first: `(target,)` source index of the first tap of each target pixel; may lie outside the image.
        weight: `(taps, target)` float64.
        gain: `(target,)` float64, one over the sum of the weights that lie inside.
    """

    first: Tensor
    weight: Tensor
    gain: Tensor


def resample_taps(source: int, target: int, kernel: Kernel, support: int) -> Taps:
    """Plan an axis: target pixel i lies at (i + 1/2) source / target - 1/2."""
    stretch = max(Fraction(source, target), Fraction(1))
    reach = math.ceil(support * stretch)
    double = (2 * torch.arange(target) + 1) * source - target  # position in units of 1 / (2 target)
    base = torch.div(double, 2 * target, rounding_mode="floor")
    fraction = (double - base * 2 * target).double() / (2 * target)
    offset = torch.arange(1 - reach, reach + 1)[:, None]
    weight = kernel((offset - fraction) * (1 / float(stretch)))
    index = base + offset
    inside = torch.where((index < 0) | (index >= source), 0.0, weight)
    return Taps(base + 1 - reach, weight, 1 / inside.sum(dim=0))


def _by_phase(x: Tensor, axis: int, taps: Taps, phases: int) -> Tensor:
    """Sum shifted, strided views: the weights repeat after `phases` target pixels."""
    count = taps.weight.shape[1] // phases
    step = x.shape[axis] // count
    before = max(0, -int(taps.first[0]))
    after = max(0, int(taps.first[-1]) + taps.weight.shape[0] - x.shape[axis])
    padded = _zero_padded(x, axis, before, after)
    shape = list(x.shape)
    shape[axis] = count * phases
    out = x.new_empty(shape)
    for phase in range(phases):
        total = _strided(out, axis, phase, phases, count)
        first = int(taps.first[phase]) + before
        for tap, weight in enumerate(taps.weight[:, phase].tolist()):
            view = _strided(padded, axis, first + tap, step, count)
            if tap == 0:
                torch.mul(view, weight, out=total)
            elif weight != 0:
                total.add_(view, alpha=weight)
    return out


def _by_tap(x: Tensor, axis: int, taps: Taps) -> Tensor:
    """Sum weighted gathers, one a tap: for sizes whose ratio repeats late or never."""
    size, shape = x.shape[axis], [1] * x.ndim
    shape[axis] = taps.weight.shape[1]
    total = x.new_zeros(*x.shape[:axis], shape[axis], *(x.shape[axis:][1:]))
    for tap, weight in enumerate(taps.weight):
        index = taps.first + tap
        inside = torch.where((index < 0) | (index >= size), 0.0, weight)
        source = index.clamp(0, size - 1).to(x.device)
        total.addcmul_(x.index_select(axis, source), inside.to(x).view(shape))
    return total


def _zero_padded(x: Tensor, axis: int, before: int, after: int) -> Tensor:
    return F.pad(x, (before, after) if axis == -1 else (0, 0, before, after))


def _strided(x: Tensor, axis: int, first: int, step: int, count: int) -> Tensor:
    """Return a view of `count` samples of an axis, `step` apart."""
    taken = slice(first, first + (count - 1) * step + 1, step)
    return x[..., taken] if axis == -1 else x[..., taken, :]


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
