"""Bring a sound to another rate or number of channels."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import ClassVar

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Reads, Resample, StreamInfo, StreamKind
from flowsynth.operators.sound._sound import blocks, parts_of, to_audio, to_runs
from flowsynth.values import Audio
from flowsynth.values.audio import BLOCK, sound_info, sound_rate


class ResampleAudio(Operator):
    """Change a sound's rate and its channels.

    The rate is changed without a shift, band-limited. Channels are mixed as ITU-R BS.775 has it, softer where
    a sum would pass full scale; mono goes to both sides as it is.

    Inputs:
        audio: samples, channels.

    Output:
        The same sound, as long in time.

    Errors:
        none.
    """

    op: ClassVar[str] = "resample_audio"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("av",)

    rate: int | None = Field(
        default=None, ge=1000, le=768_000, description="samples a second; as it is unless given"
    )
    channels: int | None = Field(
        default=None, ge=1, le=8, description="1 is mono, 2 stereo; as they are unless given"
    )

    def stream(self) -> StreamKind:
        """An index map of its own."""
        return Resample()

    def output_info(self, inputs: Mapping[str, StreamInfo]) -> StreamInfo:
        """As long in time."""
        own = sound_rate(inputs["audio"])
        rate = self.rate or own
        return sound_info(round(inputs["audio"].samples * Fraction(rate, own)), rate)

    def reads(self, start: int, stop: int, inputs: Mapping[str, StreamInfo]) -> Reads:
        """The blocks around, as far as the filter reaches."""
        from flowsynth.media.sound_filters import Resampling, resample_part

        info = inputs["audio"]
        own = sound_rate(info)
        change = Resampling(own, self.rate or own, 1, 1)
        end = min(stop * BLOCK, change.length(info.samples))
        part = resample_part(change, start * BLOCK, end, info.samples)
        held = blocks(part.first, part.last)
        offset = held[0] * BLOCK
        return Reads({"audio": held}, [part.first - offset, part.last - offset, part.skip, part.size])

    def run(self, ctx: RunContext, /, *, audio: Audio) -> Audio:
        """Resample."""
        from flowsynth.media.sound_filters import Part, Resampling, resampled

        geometry, (held,) = parts_of(self, ctx, {"audio": audio})
        part = Part(*geometry)
        rate = self.rate or held.sample_rate
        change = Resampling(held.sample_rate, rate, held.channels, self.channels or held.channels)
        runs = to_runs(ctx, held.cut(part.first, part.last))
        return to_audio(resampled(runs, change, part), rate, change.to_channels)
