"""Matching of colours: the distribution of one picture's or clip's colours is moved onto another's.

A distribution is described by one tensor, whose shape depends on the method; channels may be in any space.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from flowsynth.functional.motion.deflicker import match_quantiles, quantile_table

__all__ = ["Method", "describe", "match", "sample"]

Method = Literal["mean_std", "transport", "histogram"]

_MOST_GAIN = 4.0  # beyond it a nearly flat picture would show its noise
_FLOOR = 0.003  # standard deviation of what counts as flat, with L in [0, 1]
_MOST_SAMPLES = 1 << 20


def sample(pictures: Sequence[Tensor]) -> Tensor:
    """Take pixels of pictures on an even grid, at most about a million in all.

    Args:
        pictures: `(C, H, W)` each, of any sizes; at least one.

    Returns:
        `(C, N)`.
    """
    pixels = sum(picture.shape[-1] * picture.shape[-2] for picture in pictures)
    step = max(1, math.ceil(math.sqrt(pixels / _MOST_SAMPLES)))
    return torch.cat([p[:, step // 2 :: step, step // 2 :: step].flatten(1) for p in pictures], dim=1)


def describe(samples: Tensor, method: Method) -> Tensor:
    """Describe a distribution of colours.

    Args:
        samples: `(C, N)` floating point.
        method: `mean_std` gives each channel's mean and standard deviation, `(C, 2)`; `transport` the mean
            and the covariance, `(C, 1 + C)`; `histogram` each channel's quantile function, `(C, 257)`.
    """
    if method == "histogram":
        return quantile_table(samples.unsqueeze(1))
    exact = samples.double()  # so that the order of summation, hence threads, leaves no trace
    mean = exact.mean(dim=1, keepdim=True)
    centred = exact - mean
    if method == "mean_std":
        spread = centred.square().mean(dim=1, keepdim=True).sqrt()
    else:
        spread = centred @ centred.T / samples.shape[1]
    return torch.cat((mean, spread), dim=1).to(samples.dtype)


def match(picture: Tensor, own: Tensor, target: Tensor, method: Method) -> Tensor:
    """Move a picture's colours from one distribution to another.

    - `mean_std`: (x - mean) s' / s + mean' in each channel (Reinhard, Ashikhmin, Gooch and Shirley 2001).
    - `transport`: the linear map of least movement that turns one covariance C into the other C',
      A = C^-1/2 (C^1/2 C' C^1/2)^1/2 C^-1/2 (Pitie and Kokaram 2007): hues follow, not only their spread.
    - `histogram`: each channel's quantile function becomes the other's.

    Gains are at most 4, so that noise in flat pictures is not lifted.

    Args:
        picture: `(C, H, W)` floating point.
        own: of `describe`, of the picture or the clip it is part of.
        target: of `describe`, of the reference.
        method: that of both.

    Returns:
        Like `picture`; not clamped.
    """
    if method == "histogram":
        return match_quantiles(picture, own, target)
    if method == "mean_std":
        gain = (target[:, 1].square() + _FLOOR**2) / (own[:, 1].square() + _FLOOR**2)
        matrix = gain.sqrt().clamp(max=_MOST_GAIN).diag()
    else:
        matrix = _transport(own[:, 1:].double(), target[:, 1:].double()).to(picture.dtype)
    centred = (picture - own[:, :1, None]).unbind(0)
    rows = [
        sum((w * c for w, c in zip(row, centred, strict=True)), torch.zeros_like(centred[0]))
        for row in matrix.tolist()
    ]
    return torch.stack(rows) + target[:, :1, None]


def _transport(own: Tensor, target: Tensor) -> Tensor:
    """Solve for A with A own A^T = target, symmetric and positive; its gains are bounded."""
    floor = _FLOOR**2 * torch.eye(own.shape[0], dtype=own.dtype, device=own.device)
    root = _power(own + floor, 0.5)
    back = _power(own + floor, -0.5)
    full = back @ _power(root @ (target + floor) @ root, 0.5) @ back
    values, vectors = torch.linalg.eigh((full + full.T) / 2)
    bounded: Tensor = (vectors * values.clamp(max=_MOST_GAIN)) @ vectors.T
    return bounded


def _power(matrix: Tensor, exponent: float) -> Tensor:
    """Raise a symmetric positive matrix to a power."""
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    power: Tensor = (vectors * values.clamp(min=1e-12) ** exponent) @ vectors.T
    return power
