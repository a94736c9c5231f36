"""Lay pictures and clips under what is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, RequestError
from flowsynth.core.operator import Operator
from flowsynth.core.sizes import Size, Sizes
from flowsynth.core.streams import Reads, Resample, StreamInfo, StreamKind
from flowsynth.operators.shared.frames import as_rgb
from flowsynth.values import Audio, Frames
from flowsynth.values.audio import sound_rate

if TYPE_CHECKING:
    from torch import Tensor

#: How far a picture is zoomed into while it is shown.
_ZOOM = 1.12


@dataclass(frozen=True)
class _Shot:
    """What is shown from a cue's start to the next one's.

    Attributes:
        start: seconds.
        seconds: how long.
        clip: that is shown.
        first: of its frames; a picture is one frame.
        count: frames to play, forwards and backwards; 1 stands and is zoomed.
        inwards: whether a picture is zoomed into, or out of.
    """

    start: float
    seconds: float
    clip: Frames
    first: int
    count: int
    inwards: bool


class FitClips(Operator):
    """Show pictures and clips as long as a sound lasts, another one with each cue.

    Pictures (frames without a rate) are shots of their own, one each, and are zoomed slowly, in and out in
    turn; a clip plays at its rate, backwards again where it is too short. When all were shown the first
    comes again. They fill the frame; what stands over is cut.

    Inputs:
        frames: one or more clips, or pictures, of any sizes.
        audio: what says how long it lasts, such as `speak`'s; nothing of it is read.
        cues: a list of ``{"start": seconds, "end": seconds, "text": ...}``: at each start but the first
            there is a cut.

    Output:
        RGB frames of uint8, as long as the sound, at `fps`.

    Errors:
        RequestError: no cues, or nothing to show.
    """

    op: ClassVar[str] = "fit_clips"
    version: ClassVar[int] = 1
    positional: ClassVar[bool] = True
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    width: int = Field(
        default=540, ge=16, le=16384, multiple_of=2, description="pixels; 540 x 960 stands upright"
    )
    height: int = Field(default=960, ge=16, le=16384, multiple_of=2, description="pixels")
    fps: float = Field(default=24.0, gt=0, le=240, description="frames a second")

    def stream(self) -> StreamKind:
        """As long as the sound; any clip may be needed at any time."""
        return Resample()

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """A sound says how long it lasts."""
        return [] if "audio" in inputs else [Fault("inputs.audio", "missing: it says how long", "an edge")]

    def frame_size(self, sizes: Sizes, /) -> Size:
        """The parameters."""
        del sizes
        return self.width, self.height

    def output_info(self, inputs: Mapping[str, StreamInfo]) -> StreamInfo:
        """As many frames as fit the sound, the last one begun."""
        sound = inputs["audio"]
        return StreamInfo(self._frames_of(Fraction(sound.samples, sound_rate(sound))), self._rate)

    def reads(self, start: int, stop: int, inputs: Mapping[str, StreamInfo]) -> Reads:
        """Whole clips, which are mapped, not copied; none of the sound."""
        del start, stop
        total = self.output_info(inputs).length
        return Reads({port: (0, info.length) for port, info in inputs.items() if port != "audio"}, total)

    def run(
        self, ctx: RunContext, /, *, frames: list[Frames], cues: list[Any], audio: Audio | None = None
    ) -> Frames:
        """Show what is due at each moment."""
        import torch

        from flowsynth.media.subtitles import checked
        from flowsynth.values.frames import as_dtype

        fps, total = self._rate, self._total(ctx, audio)
        shots = self._shots(ctx, frames, checked(cues, ctx.node or self.op), float(total / fps))
        first, last = (ctx.span.start, ctx.span.stop) if ctx.span else (0, total)
        kept: dict[int, Tensor] = {}
        made = []
        for index in range(first, last):
            ctx.progress(index - first, last - first)
            shown = self._frame(shots, float(index / fps), kept, ctx.device)
            made.append(as_dtype(shown, "uint8").cpu())
        empty = torch.empty(0, 3, self.height, self.width, dtype=torch.uint8)
        return Frames(torch.cat(made) if made else empty, fps)

    @property
    def _rate(self) -> Fraction:
        return Fraction(self.fps).limit_denominator(100_000)

    def _frames_of(self, seconds: Fraction) -> int:
        return ceil(seconds * self._rate)

    def _total(self, ctx: RunContext, audio: Audio | None) -> int:
        """Frames in all: as the plan says, or in a plain call as the sound does."""
        if ctx.span is not None and isinstance(ctx.span.geometry, int):
            return ctx.span.geometry
        if audio is None:
            raise RequestError(f"{ctx.node or self.op}: audio: expected a sound, given none")
        return self._frames_of(Fraction(audio.num_samples, audio.sample_rate))

    def _shots(
        self, ctx: RunContext, clips: Sequence[Frames], cues: Sequence[Any], seconds: float
    ) -> list[_Shot]:
        parts = [(clip, 0, clip.num_frames) for clip in clips if clip.fps is not None and clip.num_frames]
        parts += [(clip, i, 1) for clip in clips if clip.fps is None for i in range(clip.num_frames)]
        if not parts or not cues:
            missing = "cues: expected one or more" if parts else "frames: expected pictures or clips"
            raise RequestError(f"{ctx.node or self.op}: {missing}, given none")
        starts = [0.0, *(float(cue["start"]) for cue in cues[1:]), seconds]
        return [
            _Shot(starts[k], max(starts[k + 1] - starts[k], 1e-9), *parts[k % len(parts)], inwards=k % 2 == 0)
            for k in range(len(cues))
        ]

    def _frame(self, shots: Sequence[_Shot], moment: float, kept: dict[int, Tensor], device: str) -> Tensor:
        """What is seen at a moment, `(1, 3, height, width)`; `kept` holds the picture of the shot."""
        from flowsynth.functional.picture.cover import cover, looked_at

        number = max(k for k, shot in enumerate(shots) if shot.start <= moment or k == 0)
        shot, size = shots[number], (self.height, self.width)
        inner = moment - shot.start
        if shot.clip.fps is not None and shot.count > 1:
            place = int(inner * float(shot.clip.fps) + 1e-6) % (2 * shot.count - 2)
            return cover(_rgb(shot.clip, min(place, 2 * shot.count - 2 - place), device), size)
        if number not in kept:
            kept.clear()
            larger = ceil(size[0] * _ZOOM), ceil(size[1] * _ZOOM)
            kept[number] = cover(_rgb(shot.clip, shot.first, device), larger)
        share = min(inner / shot.seconds, 1.0)
        return looked_at(kept[number], size, _ZOOM ** (share if shot.inwards else 1 - share))


def _rgb(clip: Frames, index: int, device: str) -> Tensor:
    from flowsynth.values.frames import as_float

    return as_rgb(as_float(clip.frame(index)[None].to(device)))
