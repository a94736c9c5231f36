"""Read a video file as a stream of frames."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator, model_validator

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault
from flowsynth.core.filehash import file_stamp
from flowsynth.core.sizes import Size, Sizes
from flowsynth.core.streams import Source, StreamInfo, StreamKind
from flowsynth.media.rational import Resample, ToneMap, parse_instant
from flowsynth.media.walk import Damage
from flowsynth.operators.files._media import (
    FrameRate,
    FrameType,
    Rated,
    Side,
    StreamChoice,
    find_file,
    order_faults,
    stored_size,
    to_tensor,
)
from flowsynth.operators.shared.kept import keep_last
from flowsynth.values import Frames

if TYPE_CHECKING:
    from flowsynth.media.info import VideoInfo
    from flowsynth.media.reader import VideoReader

#: Frames decoded between two looks at whether the run was asked to stop.
_STEP = 16


class ReadVideo(Rated):
    """Read a range of a video, at a constant rate and a size.

    The rate is changed by timestamps in exact fractions: output frame k is the source frame on screen
    ``k / fps`` seconds after `start`, so a lower rate drops frames, a higher one repeats them, and a variable
    rate becomes constant: that on whose grid all frames lie (a burst and a still keep every picture), else
    the usual one near the average. Of several video streams the default one is read, of several of those the
    largest; cover pictures never. Frames before the first key frame, in a file cut out of another, are left
    out, parts joined byte by byte follow each other, and a note says so.

    Rotation metadata and non-square pixels are applied, grey becomes RGB, alpha is laid over white. With both
    `width` and `height` the centre is cropped to their aspect, then resized (Lanczos, antialiased); with one,
    the other follows the aspect, in even numbers, as both sides do with `short_side`; with none of these, the
    size stays.

    Inputs:
        none.

    Output:
        T, 3, H, W: uint8 in [0, 255], or float in [0, 1]; RGB as stored, no change of transfer function
        unless `tone_map` is given. What is stored in PQ, HLG or BT.2020 says so to `encode_video`.

    Errors:
        InputError: no such file, no video, no frames, cut off, an empty range: one message with path,
            expected and found.
    """

    op: ClassVar[str] = "read_video"
    version: ClassVar[int] = 1
    positional: ClassVar[bool] = True
    io: ClassVar[bool] = True
    libraries: ClassVar[tuple[str, ...]] = ("av", "pillow")

    path: str = Field(
        default="clip:default",
        description="a video file, or clip:NAME for one that is fetched (default, bikes, bigbuckbunny, "
        "carphone); clip:NAME#SECONDS says where in it to start",
    )
    start: float | str = Field(
        default=0.0, description='first moment: seconds, a source frame "36f", or "1:02.5"'
    )
    end: float | str | None = Field(default=None, description="moment to stop before, in the same forms")
    max_frames: int | None = Field(default=None, ge=1, description="at most so many output frames")
    fps: FrameRate = Field(
        default=None,
        description='frames a second, such as 12 or "30000/1001"; the source\'s own unless given',
    )
    width: Side = Field(default=None, description="of a frame, pixels")
    height: Side = Field(default=None, description="of a frame, pixels")
    short_side: Side = Field(
        default=None, description="the shorter side, where neither width nor height is given"
    )
    resample: Resample = Field(default="lanczos", description="filter of the resize")
    dtype: FrameType = Field(
        default="uint8", description="of the frames; floats keep more than 8 bits of a deep source"
    )
    video_stream: StreamChoice = Field(
        default=None,
        description="which of several video streams: its place among them, from 0, or a language (eng)",
    )
    tone_map: ToneMap = Field(
        default="none",
        description="how PQ, HLG and BT.2020 become BT.709: by bt2390 or hable; none keeps their codes",
    )
    on_damage: Damage = Field(
        default="fail",
        description="frames that don't decode: fail, skip them, or repeat the frame before (keeps time)",
    )

    @model_validator(mode="before")
    @classmethod
    def _shot(cls, data: Any) -> Any:
        """A named clip may say where in it to start, so that a default can without binding a user's file."""
        path = str(data.get("path", "")) if isinstance(data, dict) else ""
        name, mark, moment = path.partition("#")
        if not mark or not name.startswith("clip:"):
            return data
        return {**data, "path": name, "start": data.get("start") or moment}

    @field_validator("start", "end")
    @classmethod
    def _instant(cls, value: float | str | None) -> float | str | None:
        if value is not None:
            parse_instant(value)
        return value

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """The end must come after the start."""
        del inputs
        return order_faults("start", "end", self.start, self.end)

    def frame_size(self, sizes: Sizes, /) -> Size | None:
        """The size asked for, or that of the file as it is where it may be looked into."""
        if self.width is not None and self.height is not None:
            return self.width, self.height
        asked = self.width or self.height or self.short_side
        return stored_size(self.path, self.video_stream) if sizes.look and not asked else None

    def stream(self) -> StreamKind:
        """Reads from outside the graph."""
        return Source()

    @property
    def told_rate(self) -> float | str | None:
        """What `fps` says."""
        return self.fps

    def files(self, ctx: RunContext) -> Mapping[str, Path]:
        """The video, fetched if it is a name."""
        return {"path": find_file(ctx, self.path)}

    def probe(self, ctx: RunContext) -> StreamInfo:
        """Length and rate from the file's packets; nothing but one frame is decoded."""
        reader = self._reader(ctx)
        return StreamInfo(len(reader), reader.fps)

    def probe_size(self, ctx: RunContext) -> Size | None:
        """The size of its frames, turned as they are shown."""
        reader = self._reader(ctx)
        return reader.width, reader.height

    def run(self, ctx: RunContext, /) -> Frames:
        """Decode the frames of the span, or all."""
        import numpy as np

        reader = self._reader(ctx)
        for note in reader.notes:
            ctx.note(f"{self.path}: {note}")
        start, stop = (ctx.span.start, ctx.span.stop) if ctx.span else (0, len(reader))
        parts = []
        for begin in range(start, stop, _STEP):
            ctx.progress(begin - start, stop - start)
            parts.append(reader.read(begin, min(begin + _STEP, stop)))
        pictures = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if stop == len(reader):
            reader.close()
        return Frames(to_tensor(pictures, self.dtype), fps=reader.fps, colour=reader.colour)

    def _reader(self, ctx: RunContext) -> VideoReader:
        """This thread's reader of the file, where its last chunk ended."""
        from flowsynth.media.errors import require_file
        from flowsynth.media.reader import VideoReader

        file = find_file(ctx, self.path)
        stamp = (str(file.resolve()), file_stamp(require_file(file, "a video file")))
        key = (*stamp, self.model_dump_json(exclude={"path"}))
        kept: OrderedDict[tuple[object, ...], VideoReader] = _readers.__dict__.setdefault(
            "kept", OrderedDict()
        )

        def opened() -> VideoReader:
            return VideoReader(
                file,
                start=self.start,
                end=self.end,
                max_frames=self.max_frames,
                fps=self.fps,
                width=self.width,
                height=self.height,
                short_side=self.short_side,
                resample=self.resample,
                deep=self.dtype != "uint8",
                tone_map=self.tone_map,
                info=self._info(file, stamp),
            )

        return keep_last(kept, key, opened, VideoReader.close)

    def _info(self, file: Path, stamp: tuple[object, ...]) -> VideoInfo:
        """The probed file: once a process, since some files must be decoded whole to know their frames."""
        from flowsynth.media.probe import probe

        key = (*stamp, self.video_stream, self.on_damage)
        with _probing:
            return keep_last(
                _probed, key, lambda: probe(file, stream=self.video_stream, damage=self.on_damage)
            )


#: Open, for each thread, so that the next chunk goes on where the last one ended.
_readers = threading.local()
_probing = threading.Lock()
_probed: OrderedDict[tuple[object, ...], VideoInfo] = OrderedDict()
