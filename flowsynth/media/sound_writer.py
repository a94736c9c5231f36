"""Encoding sound beside a video, and what of a file's own sound a container takes."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flowsynth.media.atomic import atomic_path
from flowsynth.media.choose import Wanted, choose_audio
from flowsynth.media.errors import MediaError
from flowsynth.media.sound import begin_of
from flowsynth.media.sound_filters import LAYOUTS, RUN, Resampling, as_frame, resample_part, resampled
from flowsynth.media.source import open_input

if TYPE_CHECKING:
    from flowsynth.values.audio import Audio

Array = npt.NDArray[Any]

#: Encoder, sample format and rates of each container; a rate that isn't there becomes the first.
_AAC_RATES = (48_000, 44_100, 96_000, 88_200, 64_000, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000)
_ENCODERS: dict[str, tuple[str, str, tuple[int, ...]]] = {
    ".mp4": ("aac", "fltp", _AAC_RATES),
    ".mov": ("aac", "fltp", _AAC_RATES),
    ".mkv": ("flac", "s32", ()),
    ".webm": ("libopus", "flt", (48_000, 24_000, 16_000, 12_000, 8_000)),
    ".avi": ("pcm_s16le", "s16", ()),
    ".wav": ("pcm_f32le", "flt", ()),
}
_FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".avi": "avi"}
#: Containers that hold the length of a sound; of others (MP3, raw AAC) FFmpeg guesses it.
_COUNTED = re.compile(r"mov|wav|flac|ogg|aiff|caf|w64")
#: Bits a second of a channel, where the encoder loses some.
_BITS = 96_000


def add_sound(
    output: Any, suffix: str, sound: Audio, seconds: Fraction | None = None
) -> Iterator[tuple[Fraction, Any]]:
    """Adds an encoder's stream to a container at once, then gives its packets and when each is decoded.

    What lies beyond the video's end is cut off, and what is louder than full scale where the encoder has one.

    Args:
        output: Container to be written.
        suffix: Its kind, which chooses the encoder: AAC, in Matroska FLAC, in WebM Opus, in AVI PCM.
        sound: The sound, which may be mapped parts.
        seconds: Length of the video, if there is one.
    """
    from av.codec.context import Flags

    name, sample_format, rates = _ENCODERS[suffix]
    rate = sound.sample_rate if not rates or sound.sample_rate in rates else rates[0]
    stream: Any = output.add_stream(name, rate=rate)
    context = stream.codec_context
    context.layout, context.format = LAYOUTS[sound.channels], sample_format
    context.time_base = Fraction(1, rate)
    context.thread_count = 1
    context.flags |= Flags.bitexact
    if name in ("aac", "libopus"):
        context.bit_rate = _BITS * sound.channels
    return _encoded(stream, _samples(sound, rate, seconds), rate)


def _samples(sound: Audio, rate: int, seconds: Fraction | None) -> Iterator[Array]:
    """The sound at the encoder's rate, up to the video's end."""
    change = Resampling(sound.sample_rate, rate, sound.channels, sound.channels)
    length = change.length(sound.num_samples)
    count = length if seconds is None else min(length, round(seconds * rate))
    part = resample_part(change, 0, count, sound.num_samples)
    runs = (run.numpy().T for run in sound.cut(part.first, part.last).to("cpu").runs(RUN))
    return resampled(runs, change, part)


def _encoded(stream: Any, runs: Iterator[Array], rate: int) -> Iterator[tuple[Fraction, Any]]:
    begin = 0
    whole = stream.codec_context.format.name == "flt" and stream.codec_context.codec.name == "pcm_f32le"
    for run in runs:
        for first in range(0, run.shape[1], RUN):
            part = run[:, first : first + RUN]
            part = part if whole else np.clip(part, -1, 1)
            for packet in stream.encode(as_frame(part, rate, begin)):
                yield packet.dts * Fraction(packet.time_base), packet
            begin += part.shape[1]
    for packet in stream.encode(None):
        yield packet.dts * Fraction(packet.time_base), packet


def write_wav(path: Path, sound: Audio, text: str = "") -> None:
    """Writes a WAV file of 32-bit floats, which hold a sound as it is; beyond 4 GB an RF64.

    Args:
        path: The file; written atomically.
        sound: The sound.
        text: Kept inside the file (the ``comment`` tag).

    Raises:
        MediaWriteError: The file can't be written.
    """
    import av

    options = {"fflags": "+bitexact", "rf64": "auto"}
    with (
        atomic_path(path) as temporary,
        av.open(str(temporary), "w", format="wav", options=options) as output,
    ):
        if text:
            output.metadata["comment"] = text
        for _, packet in add_sound(output, ".wav", sound):
            output.mux(packet)


def sound_fault(
    path: str | Path, suffix: str, stream: Wanted = None, start: Fraction = Fraction(0)
) -> tuple[str, str] | None:
    """What is wrong with carrying a file's sound into a container as it is stored: (expected, found).

    Args:
        path: The file.
        suffix: The container's kind.
        stream: Which of several sound streams.
        start: Seconds at which to begin.
    """
    import io

    import av

    with open_input(path) as container:
        try:
            sound = choose_audio(container, path, stream)
        except MediaError as error:
            return error.expected, error.found
        name = sound.codec_context.codec.canonical_name
        base = Fraction(sound.time_base or 0)
        end = ((sound.start_time or 0) + (sound.duration or 0)) * base - begin_of(container, sound)
        if sound.duration and start >= end and _COUNTED.search(container.format.name):
            return f"sound after {float(start):g} s", f"its end at {float(end):g} s"
    with av.open(io.BytesIO(), "w", format=_FORMATS[suffix]) as output:
        known = {_canonical(codec) for codec in output.supported_codecs}
    if name in known:
        return None
    fitting = [
        codec for codec in ("aac", "mp3", "opus", "vorbis", "flac", "ac3", "pcm_s16le") if codec in known
    ]
    return f"sound that {suffix} takes ({', '.join(fitting)})", name


def _canonical(name: str) -> str:
    """A codec's name, whichever program encodes or decodes it."""
    import av

    with contextlib.suppress(av.codec.codec.UnknownCodecError):
        return av.Codec(name, "r").canonical_name
    with contextlib.suppress(av.codec.codec.UnknownCodecError):
        return av.Codec(name, "w").canonical_name
    return name
