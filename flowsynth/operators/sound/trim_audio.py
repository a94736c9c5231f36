"""Keep a part of a sound."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.core.operator import Operator
from flowsynth.operators.sound._sound import to_array, to_audio
from flowsynth.values import Audio


class TrimAudio(Operator):
    """Keep the samples from `start` up to, not including, `stop`, to the nearest sample.

    Negative moments count from the end, and a `stop` beyond the end is the end.

    Inputs:
        audio: channels, samples.

    Output:
        The samples kept, as they are.

    Errors:
        RequestError: no sample is left.
    """

    op: ClassVar[str] = "trim_audio"
    version: ClassVar[int] = 1

    start: float = Field(0.0, allow_inf_nan=False, description="first moment kept, seconds")
    stop: float | None = Field(
        None, allow_inf_nan=False, description="first moment dropped again; null keeps the rest"
    )

    def run(self, ctx: RunContext, /, *, audio: Audio) -> Audio:
        """Cut."""
        ctx.check_cancelled()
        samples, rate = to_array(audio), audio.sample_rate
        length = samples.shape[1]
        first, last = (
            round(moment * rate) for moment in (self.start, length / rate if self.stop is None else self.stop)
        )
        first, last = (max(place + length, 0) if place < 0 else min(place, length) for place in (first, last))
        if first >= last:
            raise RequestError(
                f"trim_audio: expected a part of {length / rate:g} s, given {self.start:g} to "
                f"{'null' if self.stop is None else format(self.stop, 'g')}"
            )
        return to_audio(samples[:, first:last], rate)
