"""Keep a part of a clip."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import ClassVar, Literal

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Reads, Resample, StreamInfo, StreamKind
from flowsynth.values import Frames


class Trim(Operator):
    """Keep the frames from `start` up to, not including, `stop`.

    Both count frames or seconds; frame k is shown at k / fps, and kept when that lies in the part. Negative
    values count from the end, and a `stop` beyond the end is the end.

    Inputs:
        frames: T, C, H, W of any dtype. Seconds need frames that have a rate.

    Output:
        The frames kept, as they are.

    Errors:
        RequestError: no frame is left, or seconds without a rate.
    """

    op: ClassVar[str] = "trim"
    version: ClassVar[int] = 1
    same_size: ClassVar[str] = "frames"
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    start: float = Field(default=0.0, allow_inf_nan=False, description="first moment kept")
    stop: float | None = Field(
        default=None, allow_inf_nan=False, description="first moment dropped again; null keeps the rest"
    )
    unit: Literal["frames", "seconds"] = Field(default="frames", description="of start and stop")

    def stream(self) -> StreamKind:
        """An index map of its own."""
        return Resample()

    def output_info(self, inputs: Mapping[str, StreamInfo]) -> StreamInfo:
        """Length of the part, at the same rate."""
        first, last = self.bounds(inputs["frames"])
        return StreamInfo(last - first, inputs["frames"].fps)

    def reads(self, start: int, stop: int, inputs: Mapping[str, StreamInfo]) -> Reads:
        """Just the frames."""
        first, _ = self.bounds(inputs["frames"])
        return Reads({"frames": (first + start, first + stop)})

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        """Hand on the frames asked for."""
        if ctx.span is not None:
            return frames
        return frames.slice(*self.bounds(StreamInfo(frames.num_frames, frames.fps)))

    def bounds(self, info: StreamInfo) -> tuple[int, int]:
        """First frame kept and one past the last.

        Raises:
            RequestError: no frame is left, or seconds without a rate.
        """
        first = self._frame(self.start, info)
        last = info.length if self.stop is None else min(self._frame(self.stop, info), info.length)
        if first >= last:
            raise RequestError(
                f"trim: no frame is left of {info.length}; given start {self.start:g} and stop "
                f"{'null' if self.stop is None else format(self.stop, 'g')} {self.unit}"
            )
        return first, last

    def _frame(self, moment: float, info: StreamInfo) -> int:
        """Return the first frame at or after a moment."""
        rate: Fraction | int | None = info.fps if self.unit == "seconds" else 1
        if rate is None:
            raise RequestError(
                "trim: params.unit seconds needs frames with a rate; given pictures without one"
            )
        index = math.ceil(Fraction(str(moment)) * rate)
        return max(0, index + info.length if moment < 0 else index)
