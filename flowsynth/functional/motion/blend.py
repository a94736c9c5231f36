"""Linear blending of neighbouring frames."""

from collections.abc import Sequence

import torch
from torch import Tensor

from flowsynth.functional.motion.rate import Position

__all__ = ["blend"]


def blend(frames: Tensor, moments: Sequence[Position]) -> Tensor:
    """Render moments as linear mixes of the two frames around each.

    Args:
        frames: `(L, C, H, W)` floating point.
        moments: where to look; `frame` is an index into `frames`.

    Returns:
        `(len(moments), C, H, W)`; a moment of weight 0 is its frame, bit for bit.
    """
    out = frames.new_empty(len(moments), *frames.shape[1:])
    for row, (index, weight) in enumerate(moments):
        here = frames[index]
        out[row] = torch.lerp(here, frames[index + 1], float(weight)) if weight else here
    return out
