"""Temporal smoothing of clips.

Window functions take the frames they may read (those asked for and their halo) and the range to give
back. A halo is shorter only where the clip ends, and weights are renormalised there; frames that the
clip has and the halo lacks would change the result.
"""

import math

import torch
from torch import Tensor

__all__ = ["exponential", "gaussian", "median", "temporal_weights"]


def temporal_weights(radius: int, sigma: float) -> list[float]:
    """Return Gaussian weights for distances 0 to `radius`, 1 at distance 0."""
    if radius < 0 or not (math.isfinite(sigma) and sigma > 0):
        raise ValueError(
            f"smooth: expected radius >= 0 and a finite sigma > 0, got radius={radius}, sigma={sigma}"
        )
    return [math.exp(-0.5 * (distance / sigma) ** 2) for distance in range(radius + 1)]


def gaussian(frames: Tensor, start: int, stop: int, *, radius: int, sigma: float) -> Tensor:
    """Average each frame with its neighbours under a Gaussian.

    Args:
        frames: `(L, C, H, W)` floating point, the halo included.
        start: first frame to give back, an index into `frames`.
        stop: end of the frames to give back.
        radius: neighbours on either side.
        sigma: spread in frames.

    Returns:
        `(stop - start, C, H, W)`.
    """
    weights = temporal_weights(radius, sigma)
    out = torch.empty_like(frames[start:stop])
    for row, centre in enumerate(range(start, stop)):
        near = neighbours(centre, radius, frames.shape[0])
        total = sum(weights[abs(i - centre)] for i in near)
        out[row] = frames[near[0]] * (weights[abs(near[0] - centre)] / total)
        for i in near[1:]:
            out[row].add_(frames[i], alpha=weights[abs(i - centre)] / total)
    return out


def median(frames: Tensor, start: int, stop: int, *, radius: int) -> Tensor:
    """Take the median of each pixel over time; removes flashes of up to `radius` frames.

    Where the clip's end leaves an even number of frames the two middle values are averaged.

    Args:
        frames: `(L, C, H, W)` floating point, the halo included.
        start: first frame to give back, an index into `frames`.
        stop: end of the frames to give back.
        radius: neighbours on either side.

    Returns:
        `(stop - start, C, H, W)`.
    """
    if radius < 0:
        raise ValueError(f"smooth: radius must be at least 0, got {radius}")
    out = torch.empty_like(frames[start:stop])
    for row, centre in enumerate(range(start, stop)):
        near = neighbours(centre, radius, frames.shape[0])
        ordered = frames[near[0] : near[-1] + 1].sort(dim=0).values
        count = len(near)
        out[row] = 0.5 * (ordered[(count - 1) // 2] + ordered[count // 2])
    return out


def exponential(frames: Tensor, *, alpha: float, state: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
    """Follow the clip with a first-order lag: y[t] = y[t-1] + alpha (x[t] - y[t-1]), y[0] = x[0].

    Args:
        frames: `(T, C, H, W)` floating point.
        alpha: share of the new frame, above 0 and up to 1 (1 changes nothing).
        state: y of the frame before, `(C, H, W)`; `None` at the start of the clip.

    Returns:
        The smoothed frames and the state to hand to the next call. Cutting the clip anywhere gives the
        same bits.
    """
    if not 0 < alpha <= 1:
        raise ValueError(f"smooth: alpha must be above 0 and at most 1, got {alpha}")
    out = torch.empty_like(frames)
    for row, frame in enumerate(frames):
        state = frame if state is None else torch.lerp(state, frame, alpha)
        out[row] = state
    return out, None if state is None else state.clone()


def neighbours(centre: int, radius: int, length: int) -> range:
    """Return the frames within `radius` of `centre` that exist."""
    return range(max(0, centre - radius), min(length, centre + radius + 1))
