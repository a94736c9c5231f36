"""Fade a sound in and out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Reads, Resample, StreamInfo, StreamKind
from flowsynth.operators.sound._sound import parts_of, to_audio, to_runs
from flowsynth.values import Audio
from flowsynth.values.audio import BLOCK, sound_rate


class FadeAudio(Operator):
    """Let a sound rise from silence at its start and fall to silence at its end, by FFmpeg's `afade`.

    Inputs:
        audio: samples, channels.

    Output:
        As long, at the same rate.

    Errors:
        none.
    """

    op: ClassVar[str] = "fade_audio"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("av",)

    fade_in: float = Field(default=0.0, ge=0, le=3600, description="seconds of the rise")
    fade_out: float = Field(default=0.0, ge=0, le=3600, description="seconds of the fall")
    curve: Literal["tri", "qsin", "hsin", "esin", "log", "exp", "par", "cub", "squ", "cbr"] = Field(
        default="tri", description="shape, by FFmpeg's name: tri is a straight line, qsin of equal power"
    )

    def stream(self) -> StreamKind:
        """Block by block, with where it lies near the ends."""
        return Resample()

    def reads(self, start: int, stop: int, inputs: Mapping[str, StreamInfo]) -> Reads:
        """The same blocks; where they lie, as long as that matters."""
        info = inputs["audio"]
        rise, fall = self._lengths(info.samples, sound_rate(info))
        outside = start * BLOCK >= rise and stop * BLOCK <= info.samples - fall
        return Reads({"audio": (start, stop)}, None if outside else [start * BLOCK, info.samples])

    def _lengths(self, samples: int, rate: int) -> tuple[int, int]:
        rise, fall = (min(round(seconds * rate), samples) for seconds in (self.fade_in, self.fade_out))
        return rise, fall

    def run(self, ctx: RunContext, /, *, audio: Audio) -> Audio:
        """Fade."""
        from flowsynth.media.sound_filters import filtered

        geometry, (held,) = parts_of(self, ctx, {"audio": audio})
        if geometry is None:
            return held
        begin, length = geometry
        rise, fall = self._lengths(length, held.sample_rate)
        filters = []
        if rise:
            filters.append(("afade", f"t=in:ss=0:ns={rise}:curve={self.curve}"))
        if fall:
            filters.append(("afade", f"t=out:ss={length - fall}:ns={fall}:curve={self.curve}"))
        faded = filtered(to_runs(ctx, held), held.sample_rate, filters, begin)
        return to_audio((found.samples for found in faded), held.sample_rate, held.channels)
