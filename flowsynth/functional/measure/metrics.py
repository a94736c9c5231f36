"""Figures of quality: how close two clips are, how steady one clip is, and how sharp."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from flowsynth.functional.motion.optical_flow import warp
from flowsynth.functional.picture.blur import gaussian_blur, gaussian_kernel
from flowsynth.functional.picture.color import luma

__all__ = [
    "flicker",
    "local_flicker",
    "mean_squared_error",
    "psnr",
    "sharpness",
    "spatial_information",
    "ssim",
    "temporal_flickering",
    "temporal_information",
    "warping_error",
]

_SSIM_SIGMA = 1.5
_SSIM_RADIUS = 5  # an 11 x 11 window


def mean_squared_error(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean squared difference of each pair of frames `(N, C, H, W)`, as `(N,)` float64."""
    return (a.double() - b.double()).square().mean(dim=(1, 2, 3))


def psnr(error: float) -> float:
    """Return the peak signal-to-noise ratio, in dB, of a mean squared error of pictures in [0, 1]."""
    return math.inf if error <= 0 else -10 * math.log10(error)


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Return the structural similarity of each pair of frames (Wang et al. 2004, equation 13).

    A Gaussian window of 11 x 11 with sigma 1.5, K1 = 0.01, K2 = 0.03, population variances, averaged over
    channels and over the pixels whose window lies inside. Frames smaller than the window are extended by
    reflection.

    Args:
        a: `(N, C, H, W)` floating point in [0, 1].
        b: the same shape.

    Returns:
        `(N,)` float64, at most 1.
    """
    a, b = a.double(), b.double()
    size = 2 * _SSIM_RADIUS + 1
    inside = min(a.shape[-2:]) >= size

    def mean(x: Tensor) -> Tensor:
        if not inside:
            return gaussian_blur(x, _SSIM_SIGMA, radius=_SSIM_RADIUS)
        kernel = x.new_tensor(gaussian_kernel(_SSIM_SIGMA, _SSIM_RADIUS))
        planes = x.reshape(-1, 1, *x.shape[-2:])
        planes = F.conv2d(F.conv2d(planes, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))
        return planes.view(*x.shape[:2], *planes.shape[-2:])

    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b = mean(a * a) - mean_a * mean_a, mean(b * b) - mean_b * mean_b
    covariance = mean(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    above = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    below = (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    return (above / below).mean(dim=(1, 2, 3))


def sharpness(frames: Tensor) -> Tensor:
    """Return the root mean square gradient of each frame's luminance, in units of the range a pixel, `(N,)`.

    The gradient is the difference of direct neighbours along each axis, so that it sees the finest detail.
    """
    grey = luma(frames).double()
    across, down = grey.diff(dim=-1).square(), grey.diff(dim=-2).square()
    return (_mean_or_zero(across) + _mean_or_zero(down)).sqrt()


def spatial_information(frames: Tensor) -> Tensor:
    """Return SI of each frame: the spread of the edges in its luma (ITU-T P.910, 7.3), `(N,)`.

    The standard deviation, in levels of 255, of Sobel's gradient over the pixels whose neighbours lie inside.
    """
    grey = luma(frames).double() * 255
    if min(grey.shape[-2:]) < 3:
        return torch.zeros(len(grey), dtype=grey.dtype, device=grey.device)
    across = grey.new_tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    edges = F.conv2d(grey, torch.stack([across, across.T])[:, None])
    return edges.square().sum(dim=1).sqrt().flatten(1).std(dim=1, correction=0)


def temporal_information(frame: Tensor, following: Tensor) -> Tensor:
    """Return TI of each pair: the spread of what changes in their luma (ITU-T P.910, 7.4), levels of 255."""
    change = (luma(following).double() - luma(frame).double()) * 255
    return change.flatten(1).std(dim=1, correction=0)


def temporal_flickering(frame: Tensor, following: Tensor) -> Tensor:
    """Return VBench's temporal flickering of each pair: 1 less the mean change of a component, `(N,)`.

    For clips in which nothing should move (Huang et al. 2024, VBench, 3.1); no motion is compensated.
    """
    return 1 - (following.double() - frame.double()).abs().mean(dim=(1, 2, 3))


def warping_error(frame: Tensor, following: Tensor, flow: Tensor, occluded: Tensor) -> Tensor:
    """Return how far each following frame, brought back along the motion, is from its frame.

    The mean squared difference over the pixels that both show (Lai et al. 2018, equation 6).

    Args:
        frame: `(N, C, H, W)` in [0, 1].
        following: the next frames.
        flow: `(N, 2, H, W)` from `frame` to `following`, pixels.
        occluded: `(N, 1, H, W)`, 1 where `following` does not show the pixel.

    Returns:
        `(N,)` float64; 0 where nothing is visible.
    """
    visible = (1 - occluded).double()
    gap = (warp(following, flow) - frame).double().square().mean(dim=1, keepdim=True)
    return (gap * visible).sum(dim=(1, 2, 3)) / visible.sum(dim=(1, 2, 3)).clamp(min=1)


def flicker(frame: Tensor, following: Tensor, flow: Tensor, occluded: Tensor) -> Tensor:
    """Return the mean change of local brightness from frame to frame, once motion is compensated.

    The mean size of what `local_flicker` finds.

    Args:
        frame: `(N, C, H, W)` in [0, 1].
        following: the next frames.
        flow: `(N, 2, H, W)` from `frame` to `following`, pixels.
        occluded: `(N, 1, H, W)`, 1 where `following` does not show the pixel.

    Returns:
        `(N,)` float64 in units of the range (0.01 is a hundredth of the way from black to white).
    """
    change, weight = local_flicker(frame, following, flow, occluded)
    return (change.abs() * weight).sum(dim=(1, 2, 3)) / weight.sum(dim=(1, 2, 3)).clamp(min=1)


def local_flicker(frame: Tensor, following: Tensor, flow: Tensor, occluded: Tensor) -> tuple[Tensor, Tensor]:
    """Return where brightness changes from frame to frame once motion is compensated, and what was seen.

    Luminance differences along the motion are averaged under a Gaussian whose spread is a sixteenth of the
    shorter side, over visible pixels only, so that noise and the errors of resampling cancel and what
    brightens or darkens as a whole remains.

    Args:
        frame: `(N, C, H, W)` in [0, 1].
        following: the next frames.
        flow: `(N, 2, H, W)` from `frame` to `following`, pixels.
        occluded: `(N, 1, H, W)`, 1 where `following` does not show the pixel.

    Returns:
        The change, in units of the range, and the share of the neighbourhood that both show, each
        `(N, 1, H, W)` float64.
    """
    visible = 1 - occluded
    gap = (luma(warp(following, flow)) - luma(frame)) * visible
    spread = min(frame.shape[-2:]) / 16
    near, weight = gaussian_blur(gap, spread).double(), gaussian_blur(visible, spread).double()
    return near / weight.clamp(min=1e-3), weight


def _mean_or_zero(x: Tensor) -> Tensor:
    """Return the mean of each frame; 0 for frames of one row or column, which have no such gradient."""
    return x.mean(dim=(1, 2, 3)) if x[0].numel() else torch.zeros(len(x), dtype=x.dtype, device=x.device)
