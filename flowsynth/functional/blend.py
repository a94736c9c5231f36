"""Change of frame rate by timestamps, in exact rational arithmetic, and linear blending of neighbours."""

from fractions import Fraction
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Position", "blend", "output_length", "source_position", "sources_of"]


class Position(NamedTuple):
    """A moment between two source frames.

    Attributes:
        frame: the source frame at or before the moment.
        weight: how far the moment lies towards the next frame, in [0, 1).
    """

    frame: int
    weight: Fraction


def output_length(num_frames: int, ratio: Fraction) -> int:
    """Count the output frames: every k with k / fps_out < num_frames / fps_in, so that durations agree.

    Args:
        num_frames: of the source.
        ratio: fps_out / fps_in, above 0.
    """
    if ratio <= 0:
        raise ValueError(f"blend: the ratio of frame rates must be above 0, got {ratio}")
    return -(-num_frames * ratio.numerator // ratio.denominator)


def source_position(k: int, ratio: Fraction, num_frames: int | None = None) -> Position:
    """Map output frame `k`, shown at k / fps_out, to the source: frame floor(k / ratio) and the rest.

    Past the last source frame, which lasts 1 / fps_in, that frame is held.

    Args:
        k: output frame.
        ratio: fps_out / fps_in.
        num_frames: of the source; `None` where the end isn't known and doesn't matter.
    """
    moment = k / ratio
    index = moment.numerator // moment.denominator
    if num_frames is not None and index >= num_frames - 1:
        return Position(num_frames - 1, Fraction(0))
    return Position(index, moment - index)


def sources_of(outputs: range, ratio: Fraction, num_frames: int) -> range:
    """Return the source frames that a run of output frames reads (`outputs` ascending by one)."""
    if not outputs:
        return range(0)
    first = source_position(outputs[0], ratio, num_frames).frame
    last = source_position(outputs[-1], ratio, num_frames)
    return range(first, last.frame + (2 if last.weight else 1))


def blend(frames: Tensor, first: int, outputs: range, ratio: Fraction, num_frames: int) -> Tensor:
    """Render output frames as linear mixes of the two source frames around each.

    Args:
        frames: `(L, C, H, W)` floating point, source frames `first` and on: those of `sources_of`.
        first: index in the clip of the first of `frames`.
        outputs: output frames to render.
        ratio: fps_out / fps_in.
        num_frames: length of the source.

    Returns:
        `(len(outputs), C, H, W)`; an output that falls on a source frame is that frame, bit for bit.
    """
    out = frames.new_empty(len(outputs), *frames.shape[1:])
    for row, k in enumerate(outputs):
        index, weight = source_position(k, ratio, num_frames)
        here = frames[index - first]
        out[row] = torch.lerp(here, frames[index - first + 1], float(weight)) if weight else here
    return out
