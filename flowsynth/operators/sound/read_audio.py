"""Read the sound of a file."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault
from flowsynth.core.filehash import file_stamp
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Source, StreamInfo, StreamKind
from flowsynth.media.rational import parse_instant
from flowsynth.operators.files._media import StreamChoice, find_file, order_faults
from flowsynth.operators.shared.kept import keep_last
from flowsynth.operators.sound._sound import to_audio
from flowsynth.values import Audio
from flowsynth.values.audio import BLOCK, MOST_CHANNELS, sound_info

if TYPE_CHECKING:
    from flowsynth.media.sound import SoundInfo, SoundRange, SoundReader


class ReadAudio(Operator):
    """Read a range of a file's sound, on the clock of its picture.

    Second 0 is where the first video frame starts (without a video, the first sample): a track that begins
    later begins with silence, so that the result fits the frames of `read_video` with the same range. What an
    encoder put before the sound, and what an edit list hides, is left out; gaps are silent. Of several tracks
    the default one is read.

    Inputs:
        none.

    Output:
        samples, channels: float32 in [-1, 1], at a rate in Hz.

    Errors:
        InputError: no such file, no sound, nothing within the range, damaged data.
    """

    op: ClassVar[str] = "read_audio"
    version: ClassVar[int] = 1
    positional: ClassVar[bool] = True
    io: ClassVar[bool] = True
    libraries: ClassVar[tuple[str, ...]] = ("av",)

    path: str = Field(description="a file with sound, clip:NAME, or sound:pad, which is music")
    start: float | str = Field(default=0.0, description='first moment: seconds or "1:02.5"')
    end: float | str | None = Field(default=None, description="moment to stop before, in the same forms")
    rate: int | None = Field(
        default=None, ge=1000, le=768_000, description="samples a second; the file's own unless given"
    )
    channels: int | None = Field(
        default=None, ge=1, le=MOST_CHANNELS, description="1 is mono, 2 stereo; the file's own unless given"
    )
    audio_stream: StreamChoice = Field(
        default=None, description="which of several tracks: its place among them, from 0, or a language (eng)"
    )

    @field_validator("start", "end")
    @classmethod
    def _instant(cls, value: float | str | None) -> float | str | None:
        if value is not None and isinstance(parse_instant(value), int):
            raise ValueError(f'expected seconds or "1:02.5", given {value!r}')
        return value

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """The end must come after the start."""
        del inputs
        return order_faults("start", "end", self.start, self.end)

    def stream(self) -> StreamKind:
        """Reads from outside the graph."""
        return Source()

    def files(self, ctx: RunContext) -> Mapping[str, Path]:
        """The file, fetched if it is a name."""
        return {"path": find_file(ctx, self.path)}

    def probe(self, ctx: RunContext) -> StreamInfo:
        """Length and rate: the sound is decoded for it, since headers say too little."""
        reader = self._reader(ctx)
        return sound_info(reader.samples, reader.rate)

    def run(self, ctx: RunContext, /) -> Audio:
        """Decode the samples of the span, or all."""
        reader = self._reader(ctx)
        first, last = (ctx.span.start, ctx.span.stop) if ctx.span else (0, -(-reader.samples // BLOCK))
        steps = range(first * BLOCK, min(last * BLOCK, reader.samples), BLOCK)
        runs = []
        for begin in steps:
            ctx.progress(begin, reader.samples)
            runs.append(reader.read(begin, min(begin + BLOCK, reader.samples)))
        if ctx.span is None or ctx.span.stop == ctx.span.total:
            reader.close()
        return to_audio(runs, reader.rate, reader.channels)

    def _reader(self, ctx: RunContext) -> SoundReader:
        """This thread's reader of the file, where its last part ended."""
        from flowsynth.media.errors import require_file
        from flowsynth.media.sound import SoundRange, SoundReader

        file = find_file(ctx, self.path)
        stamp = (str(file.resolve()), file_stamp(require_file(file, "a file with sound")))
        kept: OrderedDict[tuple[object, ...], SoundReader] = _readers.__dict__.setdefault(
            "kept", OrderedDict()
        )
        key = (*stamp, self.model_dump_json(exclude={"path"}))

        def opened() -> SoundReader:
            end = None if self.end is None else Fraction(parse_instant(self.end))
            wanted = SoundRange(file, Fraction(parse_instant(self.start)), end, self.audio_stream)
            info = _probed(wanted, stamp)
            return SoundReader(wanted, info, self.rate or info.rate, self.channels or info.channels)

        return keep_last(kept, key, opened, SoundReader.close)


def _probed(wanted: SoundRange, stamp: tuple[object, ...]) -> SoundInfo:
    """What the file holds: decoded once a process."""
    from flowsynth.media.sound import probe_sound

    key = (*stamp, wanted)
    with _probing:
        return keep_last(_found, key, lambda: probe_sound(wanted))


#: Open, for each thread, so that the next part goes on where the last one ended.
_readers = threading.local()
_probing = threading.Lock()
_found: OrderedDict[tuple[object, ...], SoundInfo] = OrderedDict()
