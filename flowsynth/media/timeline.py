"""Which source frame each output frame shows, by timestamps and in exact fractions."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from fractions import Fraction

from flowsynth.media.errors import MediaRangeError
from flowsynth.media.info import VideoInfo
from flowsynth.media.rational import nominal_fps, parse_fps, parse_instant

#: Frames of a view: 16 hours at 180 a second. A damaged timestamp may claim far more than anybody reads.
MOST_FRAMES = 10_000_000


@dataclass(frozen=True)
class Timeline:
    """A constant-rate view of a range of a video.

    Output frame ``k`` shows what is on screen ``start + k / fps`` seconds after the first frame, so a
    lower rate drops frames, a higher one repeats them, and a variable rate becomes a constant one.

    Attributes:
        fps: Output frames per second.
        start: Seconds from the source's first frame to the range's start.
        count: Number of output frames.
    """

    fps: Fraction
    start: Fraction
    count: int
    info: VideoInfo = field(repr=False)

    @property
    def duration(self) -> Fraction:
        """Seconds that the output lasts."""
        return self.count / self.fps

    def source_index(self, k: int) -> int:
        """Returns the source frame that output frame ``k`` shows.

        Raises:
            IndexError: ``k`` is outside ``[0, count)``.
        """
        if not 0 <= k < self.count:
            raise IndexError(f"frame {k} of a timeline of {self.count}")
        return _shown_at(self.info, self.start + k / self.fps)


def make_timeline(
    info: VideoInfo,
    *,
    start: float | str | Fraction = 0,
    end: float | str | Fraction | None = None,
    max_frames: int | None = None,
    fps: float | str | Fraction | None = None,
) -> Timeline:
    """Lays a constant-rate timeline over a range of a video.

    Args:
        info: The probed video.
        start: Where the range begins: seconds, a frame (``"36f"``) or a clock time (``"1:02.5"``).
        end: Where it ends, exclusive; later than the video's end means the video's end.
        max_frames: At most this many output frames.
        fps: Output rate; the source's own where not given (if it varies freely, the usual one near it).

    Raises:
        MediaRangeError: The range is empty or starts after the end.
        ValueError: A value in a form that is not understood.
    """
    own = info.fps if info.rate.grid else nominal_fps(info.fps)
    rate = own if fps is None else parse_fps(fps)
    first = _seconds(info, start, "start")
    last = info.duration if end is None else min(_seconds(info, end, "end"), info.duration)
    if last <= first:
        expected = f"an end after the start ({_show(first)} s)"
        raise MediaRangeError(info.path, expected, f"end {end!r}, which is {_show(last)} s")
    if max_frames is not None and max_frames < 1:
        raise MediaRangeError(info.path, "max_frames of 1 or more", str(max_frames))
    count = math.ceil((last - first) * rate)
    count = count if max_frames is None else min(count, max_frames)
    if count > MOST_FRAMES:
        expected = f"at most {MOST_FRAMES:,} frames (by end, max_frames or fps)"
        raise MediaRangeError(
            info.path, expected, f"{_show(last - first)} s at {float(rate):g} a second, {count:,}"
        )
    return Timeline(rate, first, count, info)


def _seconds(info: VideoInfo, value: float | str | Fraction, name: str) -> Fraction:
    """Seconds from the first frame; a frame's index becomes the instant at which it is shown."""
    instant = parse_instant(value)
    past = f"{name} {value!r}, past its end ({_show(info.duration)} s, {info.frame_count} frames)"
    if isinstance(instant, int):
        if instant < info.frame_count:
            return info.time(instant)
        if name == "end":
            return info.duration
        raise MediaRangeError(info.path, "a start inside the video", past)
    if name == "start" and instant >= info.duration:
        raise MediaRangeError(info.path, "a start inside the video", past)
    return instant


def _shown_at(info: VideoInfo, seconds: Fraction) -> int:
    if not info.rate.variable:
        return min(math.floor(seconds * info.fps), info.frame_count - 1)
    # A timestamp is the true instant rounded to a tick, so a frame counts as shown from half a tick earlier.
    tick = seconds / info.time_base + info.timestamps[0] + Fraction(1, 2)
    return max(bisect_right(info.timestamps, math.floor(tick)) - 1, 0)


def _show(seconds: Fraction) -> str:
    return f"{float(seconds):.6g}"
