"""Play sounds at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Reads, Resample, StreamInfo, StreamKind
from flowsynth.operators.sound._sound import fan_in, parts_of, require_alike, require_rate
from flowsynth.values import Audio
from flowsynth.values.audio import sound_info


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
        default=(), description="decibels for each sound, in order; 0 for all unless given"
    )

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """As many gains as sounds."""
        count = len(inputs["audio"]) if isinstance(inputs.get("audio"), list) else 1
        if self.gains and len(self.gains) != count and "audio" in inputs:
            return [Fault("params.gains", "does not fit", f"{count}, one a sound", str(len(self.gains)))]
        return []

    def stream(self) -> StreamKind:
        """Block by block, while a sound lasts."""
        return Resample()

    def output_info(self, inputs: Mapping[str, StreamInfo]) -> StreamInfo:
        """The longest."""
        return sound_info(max(info.samples for info in inputs.values()), require_rate(self.op, inputs))

    def reads(self, start: int, stop: int, inputs: Mapping[str, StreamInfo]) -> Reads:
        """The same blocks of every sound that is still to be heard."""
        kept = [i for i, info in enumerate(inputs.values()) if start < info.length or not start]
        ports = list(inputs.items())
        ends = {ports[i][0]: (start, min(stop, ports[i][1].length)) for i in kept}
        return Reads(ends, [*kept])

    def run(self, ctx: RunContext, /, *, audio: list[Audio]) -> Audio:
        """Add up."""
        import torch

        ctx.check_cancelled()
        kept, tracks = parts_of(self, ctx, fan_in(audio))
        require_alike(self.op, tracks)
        length = max(track.num_samples for track in tracks)
        total = torch.zeros(length, tracks[0].channels, dtype=torch.float64)
        for place, track in zip(kept, tracks, strict=True):
            gain = self.gains[place] if self.gains else 0.0
            total[: track.num_samples] += track.tensor.cpu().double() * 10 ** (gain / 20)
        return Audio(total.float(), tracks[0].sample_rate)
