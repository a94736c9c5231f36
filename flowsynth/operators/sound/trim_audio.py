"""Keep a part of a sound."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, ClassVar

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, RequestError
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Reads, Resample, StreamInfo, StreamKind
from flowsynth.operators.sound._sound import blocks, parts_of
from flowsynth.values import Audio
from flowsynth.values.audio import BLOCK, sound_info, sound_rate


class TrimAudio(Operator):
    """Keep the samples from `start` up to, not including, `stop`, to the nearest sample.

    Negative moments count from the end, and a `stop` beyond the end is the end.

    Inputs:
        audio: samples, channels.

    Output:
        The samples kept, as they are.

    Errors:
        RequestError: no sample is left.
    """

    op: ClassVar[str] = "trim_audio"
    version: ClassVar[int] = 1

    start: float = Field(default=0.0, allow_inf_nan=False, description="first moment kept, seconds")
    stop: float | None = Field(
        default=None, allow_inf_nan=False, description="first moment dropped again; null keeps the rest"
    )

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """Where both moments count from one end, the stop must come after the start."""
        del inputs
        if self.stop is None or (self.start < 0) != (self.stop < 0) or self.stop > self.start:
            return []
        given = f"{self.start:g} to {self.stop:g}"
        return [Fault("params.stop", "leaves nothing", "a moment after start", given)]

    def stream(self) -> StreamKind:
        """An index map of its own."""
        return Resample()

    def output_info(self, inputs: Mapping[str, StreamInfo]) -> StreamInfo:
        """Length of the part."""
        first, last = self._bounds(inputs["audio"])
        return sound_info(last - first, sound_rate(inputs["audio"]))

    def reads(self, start: int, stop: int, inputs: Mapping[str, StreamInfo]) -> Reads:
        """The blocks in which the samples lie, and where in them."""
        first, last = self._bounds(inputs["audio"])
        begin, end = first + start * BLOCK, min(first + stop * BLOCK, last)
        held = blocks(begin, end)
        return Reads({"audio": held}, [begin - held[0] * BLOCK, end - held[0] * BLOCK])

    def run(self, ctx: RunContext, /, *, audio: Audio) -> Audio:
        """Cut."""
        ctx.check_cancelled()
        (first, last), (held,) = parts_of(self, ctx, {"audio": audio})
        return held.cut(first, last)

    def _bounds(self, info: StreamInfo) -> tuple[int, int]:
        length, rate = info.samples, sound_rate(info)
        first = self._place(self.start, length, rate)
        last = length if self.stop is None else self._place(self.stop, length, rate)
        if first >= last:
            raise RequestError(
                f"trim_audio: expected a part of {length / rate:g} s, given {self.start:g} to "
                f"{'null' if self.stop is None else format(self.stop, 'g')}"
            )
        return first, last

    def _place(self, moment: float, length: int, rate: int) -> int:
        place = round(Fraction(str(moment)) * rate)
        return max(place + length, 0) if moment < 0 else min(place, length)
