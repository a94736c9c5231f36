"""Exact rates, instants and names from what users write; imports nothing, so that planning stays quick."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Literal

#: Filters that resize pictures; "area" is the plain mean of the pixels covered.
Resample = Literal["lanczos", "bicubic", "bilinear", "area", "nearest"]

#: Curves by which more than a usual screen's range becomes BT.709.
ToneMap = Literal["none", "hable", "bt2390"]

#: Frames per second that containers can hold at all: one in almost three hours, and a tick of a microsecond.
SLOWEST, FASTEST = Fraction(1, 10_000), 1_000_000

#: Nominal rates of NTSC material; 29.97 and 23.976 are roundings of these times 1000/1001.
_NTSC = tuple(Fraction(rate * 1000, 1001) for rate in (24, 30, 48, 60, 120))

#: Rates that cameras, screens and editors use.
USUAL_RATES = (
    *_NTSC,
    *(Fraction(rate) for rate in (10, 12, 15, 24, 25, 30, 48, 50, 60, 90, 100, 120, 144, 240)),
)

_FRAMES = re.compile(r"^\s*(\d+)\s*f(rames?)?\s*$")
_CLOCK = re.compile(r"^\s*(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)\s*$")


def parse_fps(value: float | str | Fraction) -> Fraction:
    """Reads a frame rate: ``12``, ``29.97``, ``"30000/1001"``.

    A decimal within 0.002 of an NTSC rate is that rate exactly (29.97 is 30000/1001), since the
    written decimal is a rounding of it.

    Raises:
        ValueError: Not a number within :data:`SLOWEST` and :data:`FASTEST`.
    """
    if isinstance(value, Fraction):
        rate = value
    else:
        try:
            rate = Fraction(str(value).strip())
        except (ValueError, ZeroDivisionError) as error:
            raise ValueError(
                f'expected frames per second such as 12 or "30000/1001", given {value!r}'
            ) from error
        if not (isinstance(value, int) or "/" in str(value)):
            rate = next((ntsc for ntsc in _NTSC if abs(ntsc - rate) < Fraction(1, 500)), rate)
    if rate <= 0:
        raise ValueError(f"expected frames per second above 0, given {value!r}")
    if not SLOWEST <= rate <= FASTEST:
        raise ValueError(f"expected frames per second from {SLOWEST} to {FASTEST}, given {value!r}")
    return rate


def nominal_fps(average: Fraction) -> Fraction:
    """Returns the usual rate within 1 % of a variable rate's average, else the average.

    A telephone's 29.93 on average is meant as 29.97: resampled to its average, it would repeat or drop a
    frame every few seconds to no end.
    """
    nearest = min(USUAL_RATES, key=lambda rate: abs(rate - average))
    return nearest if abs(nearest - average) * 100 <= average else average


def parse_instant(value: float | str | Fraction) -> Fraction | int:
    """Reads an instant: a number is seconds, ``"36f"`` the frame 36, ``"1:02.5"`` a clock time.

    Returns:
        Seconds as a Fraction, or a frame's index as an int.

    Raises:
        ValueError: Negative, or in none of these forms.
    """
    text = str(value)
    if match := _FRAMES.match(text):
        return int(match[1])
    if match := _CLOCK.match(text):
        return int(match[1] or 0) * 3600 + int(match[2]) * 60 + Fraction(match[3])
    try:
        seconds = Fraction(text.strip())
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(f'expected seconds, "36f" or "1:02.5", given {value!r}') from error
    if seconds < 0:
        raise ValueError(f"expected an instant of 0 or later, given {value!r}")
    return seconds
