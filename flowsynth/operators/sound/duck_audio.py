"""Lay music under speech."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.core.operator import Operator
from flowsynth.operators.sound._sound import require_alike, to_audio, to_runs
from flowsynth.values import Audio

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


class DuckAudio(Operator):
    """Lay music under speech, and turn it down while something is said.

    What is said when the cues tell, so that the music is down when a word begins, and comes back only in
    pauses that are long enough for it. Music that is too short comes again, one end faded into the other; it
    ends with the speech, faded out. The sum may pass full scale, which floats hold: `normalize_loudness`
    brings it down again.

    Inputs:
        audio: the speech.
        cues: a list of ``{"start": seconds, "end": seconds, "text": ...}`` in order, such as `speak`'s.
        music: of the same rate and number of channels (`resample_audio`).

    Output:
        Both together, as long as the speech.

    Errors:
        RequestError: sounds that differ, cues that overlap, music of no sample.
    """

    op: ClassVar[str] = "duck_audio"
    version: ClassVar[int] = 1

    gain: float | None = Field(
        default=-8.0,
        ge=-80,
        le=40,
        description="of the music, decibels; null leaves it out and the port alone",
    )
    depth: float = Field(
        default=14.0, ge=0, le=80, description="how far it is turned down under speech, decibels"
    )
    fade: float = Field(default=0.35, ge=0, le=5, description="seconds that turning down takes, and up again")
    end: float = Field(default=1.5, ge=0, le=60, description="seconds for which it fades out at the end")

    def unread(self) -> Collection[str]:
        """The music, where it is left out."""
        return ("music",) if self.gain is None else ()

    def run(self, ctx: RunContext, /, *, audio: Audio, cues: list[Any], music: Audio | None = None) -> Audio:
        """Add it."""
        from flowsynth.media.subtitles import checked

        said = checked(cues, ctx.node or self.op)
        if self.gain is None or music is None or not audio.num_samples:
            return audio
        require_alike(self.op, [audio, music])
        if not music.num_samples:
            raise RequestError(f"{ctx.node or self.op}: music: expected a sound, given one of no sample")
        return to_audio(self._mixed(ctx, said, audio, music), audio.sample_rate, audio.channels)

    def _mixed(self, ctx: RunContext, cues: Sequence[Any], audio: Audio, music: Audio) -> Iterator[Array]:
        """The sum, some samples at a time."""
        import numpy as np

        rate = audio.sample_rate
        whole = _whole(ctx, music)
        again = _again(whole, min(2 * rate, music.num_samples // 4))
        first = again.shape[1]
        done = 0
        for run in to_runs(ctx, audio):
            places = np.arange(done, done + run.shape[1])
            levels = self._levels(places / rate, cues, audio.num_samples / rate)
            played = np.where(places < first, whole[:, places % first], again[:, places % first])
            yield (run + played * levels).astype(np.float32)
            done += run.shape[1]

    def _levels(self, seconds: Array, cues: Sequence[Any], length: float) -> Array:
        """Factors on the music at moments."""
        import numpy as np

        fade = max(self.fade, 1e-6)
        moments: list[float] = []
        shares: list[float] = []
        for first, last in _joined(cues, 2 * fade):
            moments += [first - fade, first, last, last + fade]
            shares += [1.0, 0.0, 0.0, 1.0]
        up = np.interp(seconds, moments or [0.0], shares or [1.0])
        decibels = (self.gain or 0.0) - self.depth * (1 - up)
        out = np.clip((length - seconds) / max(self.end, 1e-6), 0.0, 1.0)
        return 10 ** (decibels / 20) * np.sin(out * np.pi / 2)


def _joined(cues: Sequence[Any], least: float) -> list[tuple[float, float]]:
    """When something is said, pauses shorter than `least` seconds taken along."""
    spans: list[tuple[float, float]] = []
    for cue in cues:
        first, last = float(cue["start"]), float(cue["end"])
        if spans and first - spans[-1][1] < least:
            spans[-1] = spans[-1][0], last
        else:
            spans.append((first, last))
    return spans


def _whole(ctx: RunContext, music: Audio) -> Array:
    import numpy as np

    return np.concatenate(list(to_runs(ctx, music)), axis=1)


def _again(music: Array, shared: int) -> Array:
    """What is played after the first time, again and again: it begins while the end fades out."""
    import numpy as np

    if shared < 1:
        return music
    share = np.linspace(0.0, 1.0, shared, dtype=np.float32)
    seam = music[:, :shared] * np.sqrt(share) + music[:, -shared:] * np.sqrt(1 - share)
    return np.concatenate([seam, music[:, shared:-shared]], axis=1)
