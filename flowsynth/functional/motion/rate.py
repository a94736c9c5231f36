"""Change of frame rate by timestamps, in exact rational arithmetic. Needs no torch: plans use it."""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

__all__ = ["Position", "output_length", "positions", "source_position", "sources_of"]


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
        raise ValueError(f"rate: the ratio of frame rates must be above 0, got {ratio}")
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


def positions(outputs: range, ratio: Fraction, num_frames: int) -> list[Position]:
    """Map a run of output frames to the source, one `source_position` each."""
    return [source_position(k, ratio, num_frames) for k in outputs]


def sources_of(moments: Sequence[Position]) -> range:
    """Return the source frames that ascending `moments` read."""
    if not moments:
        return range(0)
    last = moments[-1]
    return range(moments[0].frame, last.frame + (2 if last.weight else 1))
