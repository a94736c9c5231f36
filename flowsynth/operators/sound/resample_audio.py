"""Bring a sound to another rate or number of channels."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.operator import Operator
from flowsynth.operators.sound._sound import to_array, to_audio
from flowsynth.values import Audio


class ResampleAudio(Operator):
    """Change a sound's rate and its channels.

    The rate is changed without a shift, band-limited. Channels are mixed as ITU-R BS.775 has it, softer where
    a sum would pass full scale; mono goes to both sides as it is.

    Inputs:
        audio: channels, samples.

    Output:
        The same sound, as long in time.

    Errors:
        none.
    """

    op: ClassVar[str] = "resample_audio"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("av",)

    rate: int | None = Field(None, ge=1000, le=768_000, description="samples a second; as it is unless given")
    channels: int | None = Field(
        None, ge=1, le=8, description="1 is mono, 2 stereo; as they are unless given"
    )

    def run(self, ctx: RunContext, /, *, audio: Audio) -> Audio:
        """Resample."""
        from flowsynth.media.sound import resampled

        ctx.check_cancelled()
        samples, rate = to_array(audio), self.rate or audio.sample_rate
        channels = self.channels or samples.shape[0]
        return to_audio(resampled(samples, audio.sample_rate, rate, channels), rate)
