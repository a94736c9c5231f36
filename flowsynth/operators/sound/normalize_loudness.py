"""Bring a sound to a loudness."""

from __future__ import annotations

import math
from typing import ClassVar

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.operator import Operator
from flowsynth.operators.sound._sound import to_array, to_audio
from flowsynth.values import Audio


class NormalizeLoudness(Operator):
    """Bring a sound to a loudness by one gain, measured by EBU R128 (ITU-R BS.1770-4, FFmpeg's `ebur128`).

    The gain stays below the target where peaks between samples would pass `true_peak`; a note says so.
    Nothing is compressed. A silent sound stays as it is.

    Inputs:
        audio: channels, samples; 0.4 s or more.

    Output:
        The same sound, louder or softer.

    Errors:
        none.
    """

    op: ClassVar[str] = "normalize_loudness"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("av",)

    loudness: float = Field(
        -23.0,
        ge=-70,
        le=0,
        description="integrated loudness, LUFS: -23 for European television, -14 for most sites",
    )
    true_peak: float = Field(-1.0, ge=-20, le=0, description="highest peak between samples, dBTP")

    def run(self, ctx: RunContext, /, *, audio: Audio) -> Audio:
        """Measure, then turn up or down."""
        from flowsynth.media.sound import filtered

        ctx.check_cancelled()
        samples = to_array(audio)
        _, facts = filtered(samples, audio.sample_rate, [("ebur128", "metadata=1:peak=true")])
        figures = facts[-1] if facts else {}
        measured = float(figures.get("lavfi.r128.I", "-inf"))
        peak = float(figures.get("lavfi.r128.true_peak", 0))
        if not math.isfinite(measured) or measured <= -70 or peak <= 0:
            ctx.note("too short or too soft to have a loudness: left as it is")
            return to_audio(samples, audio.sample_rate)
        gain, most = self.loudness - measured, self.true_peak - 20 * math.log10(peak)
        if gain > most:
            ctx.note(f"peaks allow {measured + most:.1f} LUFS, not {self.loudness:g}")
        return to_audio(samples * 10 ** (min(gain, most) / 20), audio.sample_rate)
