"""Bring a sound to a loudness."""

from __future__ import annotations

import math
from itertools import chain
from typing import ClassVar

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.operator import Operator
from flowsynth.operators.sound._sound import to_audio, to_runs
from flowsynth.values import Audio


class NormalizeLoudness(Operator):
    """Bring a sound to a loudness by one gain, measured by EBU R128 (ITU-R BS.1770-4, FFmpeg's `ebur128`).

    The gain stays below the target where peaks between samples would pass `true_peak`; a note says so.
    Nothing is compressed. A silent sound stays as it is.

    Inputs:
        audio: samples, channels; 0.4 s or more. All of it is needed before any is given.

    Output:
        The same sound, louder or softer.

    Errors:
        none.
    """

    op: ClassVar[str] = "normalize_loudness"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("av",)

    loudness: float = Field(
        default=-23.0,
        ge=-70,
        le=0,
        description="integrated loudness, LUFS: -23 for European television, -14 for most sites",
    )
    true_peak: float = Field(default=-1.0, ge=-20, le=0, description="highest peak between samples, dBTP")

    def run(self, ctx: RunContext, /, *, audio: Audio) -> Audio:
        """Measure, then turn up or down."""
        measured, peak = self._measured(ctx, audio)
        if not math.isfinite(measured) or measured <= -70 or peak <= 0:
            ctx.note("too short or too soft to have a loudness: left as it is")
            return audio
        gain, most = self.loudness - measured, self.true_peak - 20 * math.log10(peak)
        if gain > most:
            ctx.note(f"peaks allow {measured + most:.1f} LUFS, not {self.loudness:g}")
        factor = 10 ** (min(gain, most) / 20)
        return to_audio((run * factor for run in to_runs(ctx, audio)), audio.sample_rate, audio.channels)

    def _measured(self, ctx: RunContext, audio: Audio) -> tuple[float, float]:
        """Integrated loudness, LUFS, and the highest peak between samples, of 1."""
        import numpy as np

        from flowsynth.media.sound_filters import filtered

        # The filter tells figures for whole tenths of a second: silence fills the last one up.
        tenth = -(-audio.sample_rate // 10)
        rest = np.zeros((audio.channels, -audio.num_samples % tenth), np.float32)
        figures: dict[str, str] = {}
        sound = chain(to_runs(ctx, audio), [rest])
        for found in filtered(sound, audio.sample_rate, [("ebur128", "metadata=1:peak=true")]):
            figures = found.facts or figures
        loudness, peak = figures.get("lavfi.r128.I", "-inf"), figures.get("lavfi.r128.true_peak", "0")
        # It looks between samples with some delay, so that it does not see the last ones.
        own = max((float(part.abs().max()) for part in audio.parts if part.numel()), default=0.0)
        return float(loudness), max(float(peak), own)
