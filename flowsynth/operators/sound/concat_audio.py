"""Join sounds end to end."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.core.operator import Operator
from flowsynth.operators.sound._sound import require_alike, to_array, to_audio
from flowsynth.values import Audio


class ConcatAudio(Operator):
    """Play sounds one after another, in the order of the edges.

    Where `crossfade` is set, each fades into the next.

    Inputs:
        audio: one or more, of one rate and number of channels.

    Output:
        Samples of all lengths together, less the crossfades. They are of equal power, so that loudness stays.

    Errors:
        RequestError: sounds that differ, or one shorter than its crossfades.
    """

    op: ClassVar[str] = "concat_audio"
    version: ClassVar[int] = 1

    crossfade: float = Field(0.0, ge=0, le=60, description="seconds for which two neighbours sound together")

    def run(self, ctx: RunContext, /, *, audio: list[Audio]) -> Audio:
        """Join."""
        import numpy as np

        ctx.check_cancelled()
        require_alike(self.op, audio)
        rate = audio[0].sample_rate
        shared = round(self.crossfade * rate)
        fall = np.cos(np.pi / 2 * (np.arange(shared) + 0.5) / max(shared, 1)).astype(np.float32)
        joined = to_array(audio[0])
        for track in audio[1:]:
            following = to_array(track)
            if shared > min(joined.shape[1], following.shape[1]):
                raise RequestError(
                    f"concat_audio: crossfade: expected sounds of {self.crossfade:g} s or more"
                )
            body, tail = joined[:, : joined.shape[1] - shared], joined[:, joined.shape[1] - shared :]
            seam = tail * fall + following[:, :shared] * fall[::-1]
            joined = np.concatenate([body, seam, following[:, shared:]], axis=1)
        return to_audio(joined, rate)
