"""Fade a sound in and out."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.operator import Operator
from flowsynth.operators.sound._sound import to_array, to_audio
from flowsynth.values import Audio


class FadeAudio(Operator):
    """Let a sound rise from silence at its start and fall to silence at its end, by FFmpeg's `afade`.

    Inputs:
        audio: channels, samples.

    Output:
        As long, at the same rate.

    Errors:
        none.
    """

    op: ClassVar[str] = "fade_audio"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("av",)

    fade_in: float = Field(0.0, ge=0, le=3600, description="seconds of the rise")
    fade_out: float = Field(0.0, ge=0, le=3600, description="seconds of the fall")
    curve: Literal["tri", "qsin", "hsin", "esin", "log", "exp", "par", "cub", "squ", "cbr"] = Field(
        "tri", description="shape, by FFmpeg's name: tri is a straight line, qsin of equal power"
    )

    def run(self, ctx: RunContext, /, *, audio: Audio) -> Audio:
        """Fade."""
        from flowsynth.media.sound import filtered

        ctx.check_cancelled()
        samples, rate = to_array(audio), audio.sample_rate
        length = samples.shape[1]
        rise, fall = (min(round(seconds * rate), length) for seconds in (self.fade_in, self.fade_out))
        filters = []
        if rise:
            filters.append(("afade", f"t=in:ss=0:ns={rise}:curve={self.curve}"))
        if fall:
            filters.append(("afade", f"t=out:ss={length - fall}:ns={fall}:curve={self.curve}"))
        faded = filtered(samples, rate, filters)[0] if filters else samples
        return to_audio(faded, rate)
