"""Sound as samples: decoding, FFmpeg's filters over it, encoding."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flowsynth.media.choose import Wanted, choose_audio
from flowsynth.media.errors import DecodeError, MediaError, MediaRangeError
from flowsynth.media.source import open_input, read_packets

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.container import InputContainer

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Sound:
    """Samples to encode beside a video, from its first frame on.

    Attributes:
        samples: (channels, samples) float32 in [-1, 1].
        rate: Hz.
    """

    samples: Array
    rate: int


#: FFmpeg's names of the usual layouts by number of channels.
LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
#: Encoder, sample format and rates of each container; a rate that isn't there becomes the first.
_AAC_RATES = (48_000, 44_100, 96_000, 88_200, 64_000, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000)
_ENCODERS: dict[str, tuple[str, str, tuple[int, ...]]] = {
    ".mp4": ("aac", "fltp", _AAC_RATES),
    ".mov": ("aac", "fltp", _AAC_RATES),
    ".mkv": ("flac", "s32", ()),
    ".webm": ("libopus", "flt", (48_000, 24_000, 16_000, 12_000, 8_000)),
    ".avi": ("pcm_s16le", "s16", ()),
}
_FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".avi": "avi"}
#: Bits a second of a channel, where the encoder loses some.
_BITS = 96_000
#: Seconds by which a packet's time may be off before it counts as a gap: containers round to milliseconds.
_GAP = Fraction(1, 20)
#: Samples handed to a filter at a time.
_BLOCK = 65_536


def read_sound(
    path: str | os.PathLike[str],
    *,
    start: Fraction = Fraction(0),
    end: Fraction | None = None,
    stream: Wanted = None,
) -> tuple[Array, int]:
    """Decodes a file's sound, on the clock of its picture.

    Second 0 is the first video frame's start, or without a video the first sample's: a track that begins
    later begins with silence, and one that begins earlier loses what no picture belongs to. Gaps are silent.

    Args:
        path: A file with sound.
        start: Seconds at which to begin.
        end: Seconds at which to stop; the track's end where not given, or where that comes first.
        stream: Which of several sound streams.

    Returns:
        float32 samples (channels, samples) in [-1, 1], and their rate in Hz.

    Raises:
        MediaError: No sound, damaged data, nothing within the range.
    """
    with open_input(path) as container:
        sound = choose_audio(container, path, stream)
        rate = int(sound.rate)
        zero = begin_of(container, sound)
        first = round(start * rate)
        stop = None if end is None else round(end * rate)
        parts, place = [], first
        for at, samples in _blocks(container, sound, path, zero, rate):
            if stop is not None and place >= stop:
                break
            lead = at - place
            if lead > 0:
                parts.append(np.zeros((samples.shape[0], lead), np.float32))
            kept = samples[:, max(-lead, 0) :]
            parts.append(kept)
            place = max(place, at) + kept.shape[1] if kept.shape[1] else place
    whole = np.concatenate(parts, axis=1) if parts else np.zeros((1, 0), np.float32)
    whole = whole[:, : None if stop is None else max(stop - first, 0)]
    if not whole.shape[1]:
        raise MediaRangeError(path, f"sound after {float(start):g} s", "none")
    return np.ascontiguousarray(whole), rate


def begin_of(container: InputContainer, sound: Any) -> Fraction:
    """Second 0 of a file, on its own clock: the first picture, or without one the first sound."""
    from av.stream import Disposition

    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    pictures = [stream for stream in container.streams.video if not stream.disposition & covers]
    stream = pictures[0] if pictures else sound
    return (stream.start_time or 0) * Fraction(stream.time_base or 0)


def _blocks(
    container: InputContainer, stream: Any, path: str | os.PathLike[str], zero: Fraction, rate: int
) -> Iterator[tuple[int, Array]]:
    """Decoded samples with the place of the first, counted from second 0."""
    import av
    from av.audio.resampler import AudioResampler

    channels = int(stream.codec_context.layout.nb_channels)
    if channels not in LAYOUTS:
        raise DecodeError(path, f"sound of 1 to {max(LAYOUTS)} channels", str(channels))
    same = AudioResampler(format="fltp", layout=stream.codec_context.layout, rate=rate)
    following: int | None = None
    for packet in read_packets(container, stream, path):
        try:
            frames: list[Any] = packet.decode()
        except av.FFmpegError as error:
            raise DecodeError(path, "sound that decodes", f"damaged data ({error.strerror})") from error
        for frame in frames:
            if frame.sample_rate != rate or frame.layout.nb_channels != channels:
                found = f"{frame.sample_rate} Hz, {frame.layout.name} later on"
                raise DecodeError(path, f"one rate and layout, {rate} Hz", found)
            pts, base = frame.pts, Fraction(frame.time_base or 0)
            at = following if pts is None else round((pts * base - zero) * rate)
            for whole in same.resample(frame):
                samples = whole.to_ndarray()
                if following is not None and at is not None and abs(at - following) <= _GAP * rate:
                    at = following
                place = at or 0
                yield place, samples
                following = at = place + samples.shape[1]


def filtered(
    samples: Array, rate: int, filters: Sequence[tuple[str, str]]
) -> tuple[Array, list[dict[str, str]]]:
    """Runs samples through FFmpeg's filters.

    Args:
        samples: (channels, samples) float32.
        rate: Hz.
        filters: Names and options, in order.

    Returns:
        What comes out, and each block's metadata.
    """
    graph = _audio_graph(samples.shape[0], rate, filters)
    parts: list[Array] = []
    facts: list[dict[str, str]] = []
    for begin in range(0, samples.shape[1], _BLOCK):
        graph.push(as_frame(samples[:, begin : begin + _BLOCK], rate, begin))
        _drain(graph, parts, facts)
    graph.push(None)
    _drain(graph, parts, facts)
    return (np.concatenate(parts, axis=1) if parts else samples[:, :0]), facts


def _audio_graph(channels: int, rate: int, filters: Sequence[tuple[str, str]]) -> Any:
    from av.filter import Graph

    graph: Any = Graph()
    graph.threads = 1
    last = graph.add_abuffer(
        sample_rate=rate, format="fltp", layout=LAYOUTS[channels], time_base=Fraction(1, rate)
    )
    for name, options in (*filters, ("aformat", "sample_fmts=fltp")):
        following = graph.add(name, options)
        last.link_to(following)
        last = following
    last.link_to(graph.add("abuffersink"))
    graph.configure()
    return graph


def _drain(graph: Any, parts: list[Array], facts: list[dict[str, str]]) -> None:
    import av

    while True:
        try:
            frame = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        parts.append(frame.to_ndarray())
        facts.append(dict(frame.metadata))


def as_frame(samples: Array, rate: int, begin: int) -> AudioFrame:
    """Samples as a frame that starts ``begin`` samples after second 0."""
    from av import AudioFrame

    frame = AudioFrame.from_ndarray(
        np.ascontiguousarray(samples, np.float32), format="fltp", layout=LAYOUTS[samples.shape[0]]
    )
    frame.sample_rate, frame.pts, frame.time_base = rate, begin, Fraction(1, rate)
    return frame


def resampled(samples: Array, rate: int, to_rate: int, channels: int) -> Array:
    """Samples at another rate and number of channels; as long in time, to the nearest sample."""
    if (rate, samples.shape[0]) == (to_rate, channels):
        return samples
    if samples.shape[0] == 1 and channels == 2:
        samples = np.repeat(samples, 2, axis=0)  # FFmpeg would take 3 dB off
    options = f"sample_rate={to_rate}:out_chlayout={LAYOUTS[channels]}:filter_size=64:cutoff=0.97"
    options += ":rematrix_maxval=1.0"  # as FFmpeg has it for whole numbers: no sum passes full scale
    result, _ = filtered(samples, rate, [("aresample", options)])
    length = round(samples.shape[1] * Fraction(to_rate, rate))
    missing = max(length - result.shape[1], 0)
    return np.pad(result, ((0, 0), (0, missing)))[:, :length]


def add_sound(output: Any, suffix: str, sound: Sound, seconds: Fraction) -> Iterator[tuple[Fraction, Any]]:
    """Adds an encoder's stream to a container at once, then gives its packets and when each is decoded.

    What lies beyond the video's end is cut off.

    Args:
        output: Container to be written.
        suffix: Its kind, which chooses the encoder: AAC, in Matroska FLAC, in WebM Opus, in AVI PCM.
        sound: Samples.
        seconds: Length of the video.
    """
    from av.codec.context import Flags

    name, sample_format, rates = _ENCODERS[suffix]
    rate = sound.rate if not rates or sound.rate in rates else rates[0]
    samples = resampled(sound.samples, sound.rate, rate, sound.samples.shape[0])[:, : round(seconds * rate)]
    stream: Any = output.add_stream(name, rate=rate)
    context = stream.codec_context
    context.layout, context.format = LAYOUTS[samples.shape[0]], sample_format
    context.time_base = Fraction(1, rate)
    context.thread_count = 1
    context.flags |= Flags.bitexact
    if name in ("aac", "libopus"):
        context.bit_rate = _BITS * samples.shape[0]
    return _encoded(stream, samples, rate)


def _encoded(stream: Any, samples: Array, rate: int) -> Iterator[tuple[Fraction, Any]]:
    for begin in range(0, samples.shape[1], _BLOCK):
        for packet in stream.encode(as_frame(samples[:, begin : begin + _BLOCK], rate, begin)):
            yield packet.dts * Fraction(packet.time_base), packet
    for packet in stream.encode(None):
        yield packet.dts * Fraction(packet.time_base), packet


def sound_fault(path: str | os.PathLike[str], suffix: str, stream: Wanted = None) -> tuple[str, str] | None:
    """What is wrong with carrying a file's sound into a container as it is stored: (expected, found)."""
    import io

    import av

    with open_input(path) as container:
        try:
            name = choose_audio(container, path, stream).codec_context.codec.canonical_name
        except MediaError as error:
            return error.expected, error.found
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
