"""Removal of luminance and colour flicker by matching each frame's histogram to its neighbourhood's."""

from typing import Literal

import torch
from torch import Tensor

from flowsynth.functional.motion.smooth import neighbours, temporal_weights
from flowsynth.values.frames import as_dtype, as_float

__all__ = ["Match", "histogram", "match_moments", "match_quantiles", "quantile_table", "standardised"]

Match = Literal["quantiles", "moments"]

_LEVELS = 257  # knots of a quantile function: a step of 1/256 of the pixels


def histogram(
    frames: Tensor, start: int, stop: int, *, radius: int, sigma: float, match: Match = "quantiles"
) -> Tensor:
    """Give each frame the Gaussian-weighted average histogram of its neighbourhood, channel by channel.

    With `quantiles`, Q_t is the quantile function of one channel of frame t at 257 even probabilities,
    Qm = sum_j w_j Q_j / sum_j w_j over the frames within `radius`, and a pixel x becomes Qm(Q_t^-1(x)):
    midway equalisation (Delon 2004) over a window. With `moments` a pixel becomes
    (x - mean_t) s / s_t + m, where m and s are the same averages of mean and standard deviation.

    Positions of things stay as they are: only tone curves change, so motion does not blur. Across a cut
    the tones of the two shots mix within `radius` frames.

    Args:
        frames: `(L, C, H, W)` floating point in [0, 1], the halo included.
        start: first frame to give back, an index into `frames`.
        stop: end of the frames to give back.
        radius: neighbours on either side that count.
        sigma: spread of the weights in frames.
        match: `quantiles` (any tone curve) or `moments` (gain and offset only).

    Returns:
        `(stop - start, C, H, W)`; with `moments` values may leave [0, 1] a little.
    """
    weights = temporal_weights(radius, sigma)
    out = torch.empty_like(frames[start:stop])
    needed = range(max(0, start - radius), min(frames.shape[0], stop + radius))
    describe = quantile_table if match == "quantiles" else moments
    tables = {i: describe(frames[i]) for i in needed}
    apply = match_quantiles if match == "quantiles" else match_moments
    for row, centre in enumerate(range(start, stop)):
        near = neighbours(centre, radius, frames.shape[0])
        total = sum(weights[abs(i - centre)] for i in near)
        target = sum(
            (tables[i] * (weights[abs(i - centre)] / total) for i in near), torch.zeros_like(tables[centre])
        )
        out[row] = apply(frames[centre], tables[centre], target)
    return out


def quantile_table(frame: Tensor) -> Tensor:
    """Return each channel's quantile function at even probabilities from 0 to 1, `(C, 257)`."""
    ordered = frame.flatten(1).sort(dim=1).values
    position = torch.linspace(0, ordered.shape[1] - 1, _LEVELS, dtype=torch.float64, device=frame.device)
    below = position.floor().long()
    above = (below + 1).clamp(max=ordered.shape[1] - 1)
    return torch.lerp(ordered[:, below], ordered[:, above], (position - below).to(frame.dtype))


def match_quantiles(frame: Tensor, own: Tensor, target: Tensor) -> Tensor:
    """Map `frame` `(C, H, W)` from the quantile function `own` to `target`, both `(C, 257)`.

    A value that fills a whole stretch of probabilities (a flat area) takes the stretch's middle.
    """
    values = frame.flatten(1)
    probability = 0.5 * (_rank(own, values, right=False) + _rank(own, values, right=True))
    lower = probability.floor().long().clamp(0, _LEVELS - 2)
    low, high = target.gather(1, lower), target.gather(1, lower + 1)
    return torch.lerp(low, high, probability - lower).view_as(frame)


def _rank(table: Tensor, values: Tensor, *, right: bool) -> Tensor:
    """Return the fractional knot at which `table` reaches `values`, from the left or the right."""
    found = torch.searchsorted(table, values.contiguous(), right=right).clamp(1, _LEVELS - 1)
    low, high = table.gather(1, found - 1), table.gather(1, found)
    step = ((values - low) / (high - low).clamp(min=1e-12)).clamp(0, 1)
    return found - 1 + step


def moments(frame: Tensor) -> Tensor:
    """Return each channel's mean and standard deviation, `(C, 2)`."""
    flat = frame.flatten(1).double()  # so that the order of summation, hence threads, leaves no trace
    return torch.stack((flat.mean(dim=1), flat.std(dim=1, correction=0)), dim=1).to(frame.dtype)


def match_moments(frame: Tensor, own: Tensor, target: Tensor) -> Tensor:
    """Move `frame` `(C, H, W)` from the moments `own` to `target`, both `(C, 2)`."""
    gain = target[:, 1] / own[:, 1].clamp(min=1e-4)
    offset = target[:, 0] - own[:, 0] * gain
    return frame * gain[:, None, None] + offset[:, None, None]


def standardised(frames: Tensor) -> Tensor:
    """Bring every frame to mean 1/2 and deviation 1/5, as a guide in which brightness does not flicker.

    Args:
        frames: `(L, C, H, W)`, uint8 or floating point in [0, 1].

    Returns:
        `(L, C, H, W)` uint8; what leaves the range is clipped. A frame depends on itself alone.
    """
    out = torch.empty(frames.shape, dtype=torch.uint8, device=frames.device)
    for row, frame in enumerate(frames):
        x = as_float(frame).double()  # so that the order of summation leaves no trace
        spread = x.std(correction=0).clamp(min=1e-3)
        out[row] = as_dtype((0.2 * (x - x.mean()) / spread + 0.5).float().clamp(0, 1), "uint8")
    return out
