"""Prompts that change along a clip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def travel(states: torch.Tensor, frames: Sequence[int], count: int) -> torch.Tensor:
    """Interpolate keyed prompts to one state a frame, linearly in time.

    Args:
        states: K x L x D, those of the keyed prompts.
        frames: their K frames, rising; before the first and after the last the state stands still.
        count: T, frames of the clip.

    Returns:
        T x L x D; 1 x L x D for a single prompt.
    """
    import torch

    if len(frames) == 1:
        return states
    rows = []
    for t in range(count):
        right = next((k for k, frame in enumerate(frames) if frame > t), len(frames))
        if right in (0, len(frames)):
            rows.append(states[min(right, len(frames) - 1)])
            continue
        left = right - 1
        share = (t - frames[left]) / (frames[right] - frames[left])
        rows.append(torch.lerp(states[left], states[right], share))
    return torch.stack(rows)
