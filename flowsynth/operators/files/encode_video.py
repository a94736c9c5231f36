"""Encode frames as a video file."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from flowsynth.core.canonical import Json
from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, RunError
from flowsynth.core.operator import Operator
from flowsynth.core.paths import user_path
from flowsynth.core.sizes import Sizes
from flowsynth.core.streams import Fold, StreamKind, chunk_spans
from flowsynth.media.codecs import (
    SEGMENT,
    SEGMENT_SUFFIX,
    Codec,
    EncodeSettings,
    require_pixel_format,
    require_size,
)
from flowsynth.media.errors import EncodeSettingsError, MediaError, MediaWriteError
from flowsynth.media.rational import parse_fps, parse_instant
from flowsynth.operators.files._media import (
    FrameRate,
    StreamChoice,
    declared_rate,
    find_file,
    to_arrays,
)
from flowsynth.values import Audio, Frames, Video

if TYPE_CHECKING:
    from flowsynth.media.mux import AudioFrom

#: Sides that every encoder takes; a file's own are looked up for those that want more.
_SMALL = 2
Container = Literal["auto", "mp4", "mov", "mkv", "webm", "avi", "gif", "webp"]
Preset = Literal[
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"
]


class EncodeVideo(Operator):
    """Encode a clip as a video file, segment by segment.

    Segments of 128 frames or a little more are encoded on their own (each starts with a key frame) and their
    packets joined, so an interrupted run goes on at a segment and gives the same bytes. Equal frames and
    parameters give equal bytes with the same libraries.

    YUV is BT.709 in limited range (``yuvj...`` and grey in full), with chroma beside the left pixel of two,
    all tagged as such; frames read from PQ, HLG or BT.2020 keep their tags. Sizes that the pixel format can't
    hold (odd ones in 4:2:0) are padded to even by repeating the last column or row, with a note;
    `pixel_format: yuv444p` or `codec: ffv1` keep them. h265 takes sides of 16 pixels and more, av1 of 8.

    | codec | default crf | default container | default pixel format |
    |---|---|---|---|
    | h264 | 18 (0-51) | mp4 | yuv420p |
    | h265 | 22 (0-51) | mp4 | yuv420p |
    | vp9 | 28 (0-63) | webm | yuv420p |
    | av1 | 28 (0-63) | mp4 | yuv420p |
    | ffv1 (lossless) | none | mkv | bgr0; gbrp16le for 16 bits |
    | gif | none | gif | one palette of 256 colours |
    | webp | 10 (0-50, quality 100 - 2 crf, 0 without loss) | webp | bgra |

    Inputs:
        frames: T, C, H, W of at least one frame; C is 1, 3 or 4 (alpha is dropped).
        audio: sound from the first frame on, cut to the clip's length; encoded as AAC, in Matroska as FLAC,
            in WebM as Opus, in AVI as PCM.

    Output:
        The file, with its size, rate, number of frames and codec.

    Errors:
        Faults of settings that don't go together before the run; RunError for frames without a rate where
        `fps` isn't given; InputError for sound that isn't there or that the container can't hold.
    """

    op: ClassVar[str] = "encode_video"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("av",)
    whole_ports: ClassVar[tuple[str, ...]] = ("audio",)

    codec: Codec = Field(default="h264", description="how frames are stored")
    crf: int | None = Field(
        default=None, ge=0, le=63, description="quality, lower is better; the codec's default unless given"
    )
    preset: Preset = Field(default="medium", description="effort: slower is smaller")
    pixel_format: str = Field(
        default="", description="FFmpeg's name, such as yuv444p or yuv420p10le; the codec's own if empty"
    )
    container: Container = Field(default="auto", description="kind of file; the codec's usual one for auto")
    fps: FrameRate = Field(default=None, description="frames a second; the frames' own rate unless given")
    faststart: bool = Field(
        default=True, description="index at the front of an MP4, so that it plays while it loads"
    )
    audio: str | None = Field(
        default=None, description="file (or clip:NAME) whose sound is carried over as it is stored"
    )
    audio_start: float | str = Field(
        default=0.0, description="moment of that file at which the video starts, seconds"
    )
    audio_stream: StreamChoice = Field(
        default=None,
        description="which of its sound streams: its place among them, from 0, or a language (eng)",
    )

    @field_validator("audio_start")
    @classmethod
    def _instant(cls, value: float | str) -> float | str:
        if isinstance(parse_instant(value), int):
            raise ValueError(f'expected seconds or "1:02.5", given {value!r}')
        return value

    def stream(self) -> StreamKind:
        """Encode segments, then join them."""
        return Fold(SEGMENT)

    def files(self, ctx: RunContext) -> Mapping[str, Path]:
        """The file that the sound comes from."""
        return {} if self.audio is None else {"audio": find_file(ctx, self.audio)}

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """Codec, container, quality, pixel format, rate and sound must go together."""
        settings = self._told_settings(inputs)
        if isinstance(settings, Fault):
            return [settings]
        return self._sound_faults(settings, "audio" in inputs)

    def size_faults(self, sizes: Sizes, /) -> list[Fault]:
        """The encoder must take frames of this size, padded to even sides."""
        settings = self._told_settings({})
        if isinstance(settings, Fault):
            return []  # `check` says so
        size = sizes("frames")
        if size is None and settings.spec.smallest > _SMALL:
            size = sizes.looking()("frames")
        if size is None:
            return []
        try:
            require_size(settings, (size[0] + size[0] % 2, size[1] + size[1] % 2))
        except EncodeSettingsError as error:
            return [self._fault(error)]
        return []

    def _fault(self, error: EncodeSettingsError) -> Fault:
        field = {"suffix": "container", self.codec: "codec"}.get(error.path, error.path)
        return Fault(f"params.{field}", "does not fit", error.expected, error.found)

    def _told_settings(self, inputs: Mapping[str, Any]) -> EncodeSettings | Fault:
        """What the params and the graph tell of them, or what does not go together."""
        told = declared_rate(inputs.get("frames")) if self.fps is None else parse_fps(self.fps)
        try:
            settings = self._settings(told)
            if self.pixel_format:
                require_pixel_format(settings)
        except EncodeSettingsError as error:
            return self._fault(error)
        return settings

    def _sound_faults(self, settings: EncodeSettings, wired: bool) -> list[Fault]:
        """What a graph and a file's header already show of the sound."""
        where = "inputs.audio" if wired else "params.audio"
        if (wired or self.audio is not None) and not settings.spec.segmented:
            return [Fault(where, "has no place", "a codec with sound", self.codec)]
        if wired and self.audio is not None:
            return [Fault(where, "is given twice", "an edge, or a file under params", self.audio)]
        file = None if self.audio is None or self.audio.startswith("clip:") else user_path(self.audio)
        if file is None or not file.is_file():
            return []  # a file that isn't there is a fault of its own
        from flowsynth.media.sound_writer import sound_fault

        try:
            start = Fraction(parse_instant(self.audio_start))
            fault = sound_fault(file, settings.suffix, self.audio_stream, start)
        except MediaError as error:
            fault = error.expected, error.found
        return [] if fault is None else [Fault(where, "does not fit", *fault)]

    def segment(self, ctx: RunContext, /, *, frames: Frames) -> Video:
        """Encode the frames of a segment."""
        from flowsynth.media.segments import encode_segment

        settings = self._settings(self._fps(frames), frames.colour)
        ctx.check_cancelled()
        with tempfile.TemporaryDirectory(dir=ctx.work_dir, prefix="encode-") as folder:
            path = Path(folder) / f"segment{SEGMENT_SUFFIX}"
            pictures = _counted(ctx, frames, deep=settings.deep)
            width, height, count = encode_segment(pictures, path, settings)
            data = path.read_bytes()
        if (width, height) != (frames.width, frames.height):
            size = f"{frames.width}x{frames.height}"
            ctx.note(f"{size} does not fit {settings.pixel_format}: padded to {width}x{height}")
        info: dict[str, Json] = {
            "width": width,
            "height": height,
            "fps": str(settings.fps),
            "num_frames": count,
        }
        colour: dict[str, Json] = {"colour": frames.colour} if frames.colour else {}
        return Video(data, SEGMENT_SUFFIX, {**info, "codec": self.codec, **colour})

    def combine(
        self, ctx: RunContext, parts: Sequence[Video], /, *, audio: Audio | None = None, **inputs: Any
    ) -> Video:
        """Join the segments, with the sound."""
        from flowsynth.media.mux import mux

        del inputs
        settings = self._settings(Fraction(str(parts[0].info["fps"])), str(parts[0].info.get("colour", "")))
        with tempfile.TemporaryDirectory(dir=ctx.work_dir, prefix="mux-") as folder:
            segments = []
            for k, part in enumerate(parts):
                segments.append(Path(folder) / f"{k:06d}{SEGMENT_SUFFIX}")
                segments[-1].write_bytes(part.data)
            out = Path(folder) / f"video{settings.suffix}"
            try:
                count = mux(segments, out, settings, audio=self._sound(ctx, audio))
            except MediaWriteError as error:
                # The file lies where no user put it.
                raise MediaWriteError("the run's work folder", error.expected, error.found) from error
            data = out.read_bytes()
        return Video(data, settings.suffix, {**parts[0].info, "num_frames": count})

    def _sound(self, ctx: RunContext, audio: Audio | None) -> AudioFrom | Audio | None:
        from flowsynth.media.mux import AudioFrom

        if audio is not None:
            if any(part.numel() and float(part.abs().max()) > 1 for part in audio.parts):
                ctx.note(
                    "the sound is louder than full scale and is cut off there: normalize_loudness avoids it"
                )
            return audio
        if self.audio is None:
            return None
        start = Fraction(parse_instant(self.audio_start))
        return AudioFrom(str(find_file(ctx, self.audio)), start, self.audio_stream)

    def run(self, ctx: RunContext, /, *, frames: Frames, audio: Audio | None = None) -> Video:
        """Encode a whole clip."""
        if frames.num_frames == 0:
            raise RunError("encode_video: frames: expected at least one frame, given none")
        # As a run cuts it, so that the bytes agree.
        bounds = chunk_spans(frames.num_frames, SEGMENT)
        parts = [self.segment(ctx, frames=frames.slice(start, stop)) for start, stop in bounds]
        return self.combine(ctx, parts, audio=audio)

    def _fps(self, frames: Frames) -> Fraction:
        if self.fps is not None:
            return parse_fps(self.fps)
        if frames.fps is None:
            raise RunError("encode_video: fps: expected a rate, since the frames carry none; given null")
        return frames.fps

    def _settings(self, fps: Fraction, colour: str = "") -> EncodeSettings:
        return EncodeSettings(
            fps,
            self.codec,
            crf=self.crf,
            preset=self.preset,
            pixel_format=self.pixel_format,
            suffix="" if self.container == "auto" else f".{self.container}",
            faststart=self.faststart,
            colour=colour,
        )


def _counted(ctx: RunContext, frames: Frames, *, deep: bool) -> Any:
    """The frames as arrays, with progress."""
    for done, picture in enumerate(to_arrays(frames, deep=deep)):
        ctx.progress(done, frames.num_frames)
        yield picture
