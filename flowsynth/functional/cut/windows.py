"""Sliding windows over time, and the weights that merge their overlaps (Diffutoon, arXiv 2401.16224)."""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Span", "spans", "triangular_weights", "window_weights"]

_FLOOR = 0.01  # least weight, so that a frame covered only by a window's rim keeps a finite sum


class Span(NamedTuple):
    """Frames `start` up to, not including, `stop`."""

    start: int
    stop: int


def spans(num_frames: int, window: int, stride: int) -> list[Span]:
    """Cover a clip with windows.

    Windows start at 0, stride, 2 stride, ...; each spans [b, min(b + window, num_frames)), and the first
    that reaches the end is the last.

    Args:
        num_frames: length of the clip, at least 1.
        window: length of a window, at least 1.
        stride: distance of two starts, 1 to `window`.

    Returns:
        The spans in order; their union is the whole clip.

    Raises:
        ValueError: for a stride above the window, which would leave frames out, or lengths below 1.
    """
    for name, value in (("num_frames", num_frames), ("window", window), ("stride", stride)):
        if value < 1:
            raise ValueError(f"spans: {name} must be at least 1, got {value}")
    if stride > window:
        raise ValueError(
            f"spans: stride must be at most the window ({window}), else frames are left out, got {stride}"
        )
    found = []
    for start in range(0, num_frames, stride):
        found.append(Span(start, min(start + window, num_frames)))
        if found[-1].stop == num_frames:
            break
    return found


def triangular_weights(length: int) -> list[float]:
    """Weigh the frames of a window: max(1 - |i - c| / ((L - 1 + 0.01) / 2), 0.01), c = (L - 1) / 2."""
    centre, half = (length - 1) / 2, (length - 1 + 0.01) / 2
    return [max(1 - abs(i - centre) / half, _FLOOR) for i in range(length)]


def window_weights(num_frames: int, windows: list[Span]) -> Tensor:
    """Return each window's share of each frame.

    Args:
        num_frames: length of the clip.
        windows: as `spans` gives them.

    Returns:
        `(len(windows), num_frames)` float32; zero outside a window, every column sums to one.
    """
    table = torch.zeros(len(windows), num_frames, dtype=torch.float64)
    for row, (start, stop) in zip(table, windows, strict=True):
        row[start:stop] = torch.tensor(triangular_weights(stop - start), dtype=torch.float64)
    return (table / table.sum(dim=0)).float()
