"""Play sounds at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault
from flowsynth.core.operator import Operator
from flowsynth.operators.sound._sound import require_alike, to_array, to_audio
from flowsynth.values import Audio


class MixAudio(Operator):
    """Add sounds up, each with a gain; shorter ones are followed by silence.

    The sum may pass full scale, which floats hold: `normalize_loudness` brings it down again.

    Inputs:
        audio: one or more, of one rate and number of channels.

    Output:
        As long as the longest.

    Errors:
        RequestError: sounds that differ.
    """

    op: ClassVar[str] = "mix_audio"
    version: ClassVar[int] = 1

    gains: tuple[float, ...] = Field(
        (), description="decibels for each sound, in order; 0 for all unless given"
    )

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """As many gains as sounds."""
        count = len(inputs["audio"]) if isinstance(inputs.get("audio"), list) else 1
        if self.gains and len(self.gains) != count and "audio" in inputs:
            return [Fault("params.gains", "does not fit", f"{count}, one a sound", str(len(self.gains)))]
        return []

    def run(self, ctx: RunContext, /, *, audio: list[Audio]) -> Audio:
        """Add up."""
        import numpy as np

        ctx.check_cancelled()
        require_alike(self.op, audio)
        tracks = [to_array(track) for track in audio]
        total = np.zeros((tracks[0].shape[0], max(track.shape[1] for track in tracks)), np.float64)
        for gain, track in zip(self.gains or (0.0,) * len(tracks), tracks, strict=True):
            total[:, : track.shape[1]] += track * 10 ** (gain / 20)
        return to_audio(total, audio[0].sample_rate)
