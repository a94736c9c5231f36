"""The rate of a video, from its frames' timestamps and what the container declares."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from flowsynth.media.codecs import RATE_TAG
from flowsynth.media.rational import USUAL_RATES

if TYPE_CHECKING:
    from av.video.stream import VideoStream

#: A grid finer than this is how timestamps are stored rather than a rate of pictures.
_FINEST = 240
#: Ticks that a step must have where timestamps may be roundings: any tick is near a finer grid.
_COARSE = 2


class Rate(NamedTuple):
    """A video's rate.

    Attributes:
        fps: Frames per second, of the grid on which all frames lie; the average one where there is none.
        variable: Whether some frame is a tick or more away from ``k / fps``.
        grid: Whether every frame lies on ``n / fps`` for some whole n.
    """

    fps: Fraction
    variable: bool
    grid: bool


def declared_rates(stream: VideoStream) -> list[Fraction]:
    """The rates that a container names, the most trustworthy first."""
    rates = (_tagged_rate(stream), stream.average_rate, stream.guessed_rate, stream.base_rate)
    return [Fraction(rate) for rate in rates if rate]


def untimed_rate(stream: VideoStream) -> Fraction:
    """The rate of a stream without timestamps (raw H.264): its own header's, else FFmpeg's 25."""
    return Fraction(stream.codec_context.framerate or stream.average_rate or 25)


def _tagged_rate(stream: VideoStream) -> Fraction | None:
    """The rate that a Matroska tag gives, if it is one."""
    try:
        rate = Fraction(stream.metadata.get(RATE_TAG, ""))
    except (ValueError, ZeroDivisionError):
        return None
    return rate if 0 < rate < 1_000_000 else None


def measure_rate(ticks: Sequence[int], last: int, time_base: Fraction, declared: Sequence[Fraction]) -> Rate:
    """Finds the constant rate that explains every timestamp within a tick; else a grid; else the average.

    Containers round timestamps to their time base (Matroska to milliseconds), so that a declared
    rate is preferred to the one the ticks give.

    Args:
        ticks: When each frame is shown, increasing; at least one.
        last: Ticks for which the last frame is shown, 0 where that isn't known.
        time_base: Seconds of a tick.
        declared: Rates that the container names.
    """
    span = ticks[-1] - ticks[0]
    if len(ticks) == 1 or span <= 0:
        # Where a container names no rate, FFmpeg guesses one frame a tick.
        fit = [rate for rate in declared if not last or abs(1 / (rate * time_base) - last) < 1]
        own = _simple(1 / (last * time_base)) if last else Fraction(25)
        return Rate(fit[0] if fit else own, variable=False, grid=True)
    step = Fraction(span, len(ticks) - 1)
    even = [_simple(1 / (step * time_base))] if step >= _COARSE else []
    for rate in [*declared, *even]:
        if _even(ticks, 1 / (rate * time_base)):
            return Rate(rate, variable=False, grid=True)
    grid = _grid(ticks, time_base, declared)
    if grid is not None:
        return Rate(grid, variable=True, grid=True)
    return Rate(_simple(1 / (step * time_base), 100_000), variable=True, grid=False)


def _simple(rate: Fraction, most: int = 1001) -> Fraction:
    """The nearest rate of small numbers: frames in so many seconds at most, or seconds for as many frames."""
    return rate.limit_denominator(most) if rate >= 1 else 1 / (1 / rate).limit_denominator(most)


def _grid(ticks: Sequence[int], time_base: Fraction, declared: Sequence[Fraction]) -> Fraction | None:
    """The lowest known rate with a place for every tick, if there is one.

    A burst of 60 a second and then a still is 60, and a dropped frame leaves 30 at 30. The shortest step
    is a rate too, where all others are its multiples.
    """
    shortest = min(after - before for before, after in pairwise(ticks))
    exact = 1 / (shortest * time_base)
    usual = sorted(USUAL_RATES, key=lambda rate: abs(rate - exact))
    near = [rate for rate in usual if abs(1 / (rate * time_base) - shortest) < 1]
    for rate in (*sorted({*declared}), *near, exact):
        if rate <= _FINEST and _lies_on(ticks, 1 / (rate * time_base)):
            return rate
    return None


def _even(ticks: Sequence[int], step: Fraction) -> bool:
    """Whether tick k is within one of ``k * step``; in whole numbers, since clips have many frames."""
    over, under, first = step.numerator, step.denominator, ticks[0]
    return all(-under < (tick - first) * under - k * over < under for k, tick in enumerate(ticks))


def _lies_on(ticks: Sequence[int], step: Fraction) -> bool:
    """Whether each tick is, within one, a place of its own on a grid of ``step`` ticks."""
    over, under, first = step.numerator, step.denominator, ticks[0]
    if under == 1:
        return all((tick - first) % over == 0 for tick in ticks)
    if step < _COARSE:
        return False
    places = [(2 * (tick - first) * under + over) // (2 * over) for tick in ticks]
    near = all(
        -under < (tick - first) * under - n * over < under for tick, n in zip(ticks, places, strict=True)
    )
    return near and all(before < after for before, after in pairwise(places))
