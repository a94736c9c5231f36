"""Lay pictures and clips under what is said."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from flowsynth.core.canonical import Json
from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, InputError, RequestError
from flowsynth.core.filehash import watch_folder
from flowsynth.core.operator import Operator
from flowsynth.core.paths import user_path
from flowsynth.core.sizes import Size, Sizes
from flowsynth.core.streams import Reads, Resample, StreamInfo, StreamKind
from flowsynth.media.suffixes import PICTURE_SUFFIXES, VIDEO_SUFFIXES
from flowsynth.operators.timing._named import chosen
from flowsynth.operators.timing._shots import Clip, PictureFile, Screen, Shot, VideoFile, parts_of, rate_of
from flowsynth.values import Audio, Frames
from flowsynth.values.audio import sound_rate

#: What names of files begin with, in keys.
_FOLDER = "folder/"


class FitClips(Operator):
    """Show pictures and clips as long as a sound lasts, another one with each cue.

    Pictures (frames without a rate) are shots of their own, one each, and are zoomed slowly, in and out in
    turn; a clip plays at its rate, backwards again where it is too short. When all were shown the first
    comes again. They fill the frame; what stands over is cut.

    With a `folder` each cue is shown the picture or clip whose name shares most words with what is said, or
    with its search term: ``sea/Boat 2.mp4`` with "We took a boat". Where no name shares any, `frames` come in
    turn, or the folder's files do, and a note says so.

    Inputs:
        frames: clips, or pictures, of any sizes; optional beside a `folder`.
        audio: what says how long it lasts, such as `speak`'s; nothing of it is read.
        cues: a list of ``{"start": seconds, "end": seconds, "text": ...}``: at each start but the first
            there is a cut.

    Output:
        RGB frames of uint8, as long as the sound, at `fps`.

    Errors:
        RequestError: no cues, or nothing to show.
        InputError: no folder, or nothing in it; a file in it that cannot be read.
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

    folder: Path | None = Field(default=None, description="pictures and clips to choose from by their names")
    terms: tuple[str, ...] = Field(
        default=(),
        description="words to look for in names, for each cue in order; those that are said unless given",
    )

    def stream(self) -> StreamKind:
        """As long as the sound; any clip may be needed at any time."""
        return Resample()

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """A sound says how long it lasts; there is something to show."""
        faults = []
        if "audio" not in inputs:
            faults.append(Fault("inputs.audio", "missing: it says how long", "an edge"))
        if "frames" not in inputs and self.folder is None:
            faults.append(Fault("inputs.frames", "nothing to show", "an edge, or params.folder", "neither"))
        if self.terms and self.folder is None:
            faults.append(Fault("params.terms", "only read with a folder", "params.folder", str(self.terms)))
        return faults

    def files(self, ctx: RunContext) -> Mapping[str, Path]:
        """All that the folder holds: any of it may be chosen."""
        del ctx
        if self.folder is None:
            return {}
        folder = user_path(self.folder)
        watch_folder(folder, deep=True)
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder (params.folder)")
        endings = (*PICTURE_SUFFIXES, *VIDEO_SUFFIXES)
        found = sorted(
            file for file in folder.rglob("*") if file.suffix.lower() in endings and file.is_file()
        )
        if not found:
            raise InputError(f"{folder}: expected pictures or clips (params.folder), found none")
        return {f"{_FOLDER}{file.relative_to(folder).as_posix()}": file for file in found}

    def key_params(self, files: Collection[str]) -> dict[str, Json]:
        """The params without the folder's place: its files are named as they lie in it."""
        return {name: value for name, value in super().key_params(files).items() if name != "folder"}

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
        self,
        ctx: RunContext,
        /,
        *,
        cues: list[Any],
        frames: list[Frames] | None = None,
        audio: Audio | None = None,
    ) -> Frames:
        """Show what is due at each moment."""
        import torch

        from flowsynth.media.subtitles import checked
        from flowsynth.values.frames import as_dtype

        total = self._total(ctx, audio)
        shots = self._shots(ctx, frames or [], checked(cues, ctx.node or self.op), float(total / self._rate))
        first, last = (ctx.span.start, ctx.span.stop) if ctx.span else (0, total)
        screen = Screen(shots, (self.height, self.width), ctx.device)
        made = []
        for index in range(first, last):
            ctx.progress(index - first, last - first)
            made.append(as_dtype(screen.at(float(index / self._rate)), "uint8").cpu())
        empty = torch.empty(0, 3, self.height, self.width, dtype=torch.uint8)
        return Frames(torch.cat(made) if made else empty, self._rate)

    @property
    def _rate(self) -> Fraction:
        return rate_of(self.fps)

    def _frames_of(self, seconds: Fraction) -> int:
        return ceil(seconds * self._rate)

    def _total(self, ctx: RunContext, audio: Audio | None) -> int:
        """Frames in all: as the plan says, or in a plain call as the sound does."""
        if ctx.span is not None and isinstance(ctx.span.geometry, int):
            return ctx.span.geometry
        if audio is None:
            raise RequestError(f"{ctx.node or self.op}: audio: expected a sound, given none")
        return self._frames_of(Fraction(audio.num_samples, audio.sample_rate))

    def _shots(self, ctx: RunContext, clips: list[Frames], cues: list[Any], seconds: float) -> list[Shot]:
        given = parts_of(clips)
        found = self._found(ctx, cues) if self.folder is not None else []
        if not cues or not (given or found):
            missing = "frames: expected pictures or clips" if cues else "cues: expected one or more"
            raise RequestError(f"{ctx.node or self.op}: {missing}, given none")

        def clip_of(number: int) -> Clip:
            if found and (named := found[number]) is not None:
                return named
            return given[number % len(given)] if given else self._in_turn(ctx, number)

        clips_of = [clip_of(number) for number in range(len(cues))]
        starts = [0.0, *(float(cue["start"]) for cue in cues[1:]), seconds]
        return [
            Shot(starts[k], max(starts[k + 1] - starts[k], 1e-9), clip, inwards=k % 2 == 0)
            for k, clip in enumerate(clips_of)
        ]

    def _found(self, ctx: RunContext, cues: Sequence[Any]) -> list[Clip | None]:
        """The file that goes with each cue by its name; None where none does."""
        files = {name.removeprefix(_FOLDER): path for name, path in self.files(ctx).items()}
        said = [str(cue["text"]) for cue in cues]
        texts = [self.terms[k] if k < len(self.terms) else text for k, text in enumerate(said)]
        picked = chosen(texts, [Path(name) for name in files])
        if strange := [text for text, place in zip(texts, picked, strict=True) if place is None]:
            shown = ", ".join(repr(text[:40]) for text in strange[:3])
            ctx.note(f"no file's name goes with {shown}{' and others' if len(strange) > 3 else ''}")
        paths = list(files.values())
        opened: dict[Path, Clip] = {}
        for place in picked:
            if place is not None and paths[place] not in opened:
                opened[paths[place]] = _opened(paths[place])
        return [None if place is None else opened[paths[place]] for place in picked]

    def _in_turn(self, ctx: RunContext, number: int) -> Clip:
        """A file for a cue that no name goes with, where there is nothing else to show."""
        paths = list(self.files(ctx).values())
        return _opened(paths[number % len(paths)])


def _opened(path: Path) -> Clip:
    return VideoFile(path) if path.suffix.lower() in VIDEO_SUFFIXES else PictureFile(path)
