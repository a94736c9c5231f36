"""Read the sound of a file."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator

from flowsynth.core.context import RunContext
from flowsynth.core.operator import Operator
from flowsynth.media.rational import parse_instant
from flowsynth.operators.files._media import StreamChoice, find_file
from flowsynth.operators.sound._sound import to_audio
from flowsynth.values import Audio


class ReadAudio(Operator):
    """Read a range of a file's sound, on the clock of its picture.

    Second 0 is where the first video frame starts (without a video, the first sample): a track that begins
    later begins with silence, so that the result fits the frames of `read_video` with the same range. What an
    encoder put before the sound, and what an edit list hides, is left out; gaps are silent. Of several tracks
    the default one is read.

    Inputs:
        none.

    Output:
        channels, samples: float32 in [-1, 1], at a rate in Hz.

    Errors:
        InputError: no such file, no sound, nothing within the range, damaged data.
    """

    op: ClassVar[str] = "read_audio"
    version: ClassVar[int] = 1
    io: ClassVar[bool] = True
    libraries: ClassVar[tuple[str, ...]] = ("av",)

    path: str = Field(description="a file with sound, or clip:NAME")
    start: float | str = Field(0.0, description='first moment: seconds or "1:02.5"')
    end: float | str | None = Field(None, description="moment to stop before, in the same forms")
    rate: int | None = Field(
        None, ge=1000, le=768_000, description="samples a second; the file's own unless given"
    )
    channels: int | None = Field(
        None, ge=1, le=8, description="1 is mono, 2 stereo; the file's own unless given"
    )
    audio_stream: StreamChoice = Field(
        None, description="which of several tracks: its place among them, from 0, or a language (eng)"
    )

    @field_validator("start", "end")
    @classmethod
    def _instant(cls, value: float | str | None) -> float | str | None:
        if value is not None and isinstance(parse_instant(value), int):
            raise ValueError(f'expected seconds or "1:02.5", given {value!r}')
        return value

    def files(self, ctx: RunContext) -> Mapping[str, Path]:
        """The file, fetched if it is a name."""
        return {"path": find_file(ctx, self.path)}

    def run(self, ctx: RunContext, /) -> Audio:
        """Decode the range."""
        from flowsynth.media.sound import read_sound, resampled

        end = None if self.end is None else Fraction(parse_instant(self.end))
        file = find_file(ctx, self.path)
        start = Fraction(parse_instant(self.start))
        samples, rate = read_sound(file, start=start, end=end, stream=self.audio_stream)
        to_rate, channels = self.rate or rate, self.channels or samples.shape[0]
        return to_audio(resampled(samples, rate, to_rate, channels), to_rate)
