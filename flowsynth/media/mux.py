"""Joining encoded segments into one file, with sound and metadata, without encoding again."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from flowsynth.media.animation import write_animation
from flowsynth.media.atomic import atomic_path
from flowsynth.media.choose import Wanted, choose_audio, choose_video
from flowsynth.media.codecs import RATE_TAG, EncodeSettings, container_options, copy_stream
from flowsynth.media.errors import EncodeSettingsError, MediaWriteError
from flowsynth.media.provenance import embed
from flowsynth.media.sound import begin_of
from flowsynth.media.sound_writer import add_sound
from flowsynth.media.source import open_input, read_packets
from flowsynth.values import Audio

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet

#: A packet and when it is decoded, in seconds.
_Timed = tuple[Fraction, int, "Packet[Any]"]


@dataclass(frozen=True)
class AudioFrom:
    """Sound to carry over, as it is stored.

    Attributes:
        path: The file whose sound is taken.
        start: Seconds after that file's first video frame at which the new video starts.
        stream: Which of several sound streams, see :func:`flowsynth.media.choose.choose_audio`.
    """

    path: str
    start: Fraction = Fraction(0)
    stream: Wanted = None


def mux(
    segments: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    settings: EncodeSettings,
    *,
    audio: AudioFrom | Audio | None = None,
    metadata: str = "",
) -> int:
    """Writes segments one after another into a file that plays as one video.

    Args:
        segments: Files by :func:`flowsynth.media.segments.encode_segment`, in order, of equal settings.
        out: The file; its suffix is the container. Written atomically.
        settings: The segments' own settings.
        audio: Sound to carry over or to encode, cut to the video's length.
        metadata: Text kept inside the file (the ``comment`` tag).

    Returns:
        Number of frames.

    Raises:
        EncodeSettingsError: Segments that don't fit together, sound the container can't hold.
        MediaWriteError: The file can't be written.
    """
    if not settings.spec.segmented:
        if audio is not None:
            raise EncodeSettingsError(out, "a codec with sound", f"{settings.codec}, which has none")
        with atomic_path(out) as temporary:
            count = write_animation(segments, temporary, settings)
            if metadata:
                embed(temporary, metadata)
        return count
    with atomic_path(out) as temporary:
        count = _write(segments, str(temporary), settings, audio, metadata)
        _require_written(temporary, count, out)
    return count


def _write(
    segments: Sequence[str | os.PathLike[str]],
    path: str,
    settings: EncodeSettings,
    audio: AudioFrom | Audio | None,
    metadata: str,
) -> int:
    import av

    if not segments:
        raise EncodeSettingsError(settings.codec, "at least one segment", "none")
    plans = [_read_order(segment) for segment in segments]
    total = sum(len(ranks) for ranks in plans)
    with (
        av.open(path, "w", options=container_options(settings.suffix, settings.faststart)) as output,
        open_input(segments[0]) as first,
    ):
        if metadata:
            output.metadata["comment"] = metadata
        video: Any = copy_stream(output, choose_video(first, segments[0]))
        video.time_base = 1 / settings.fps
        # Some codecs' own bits say nothing of colour: the container must.
        size = (video.codec_context.width, video.codec_context.height)
        for name, value in settings.colour_tags(size).items():
            setattr(video.codec_context, name, value)
        if settings.suffix in (".mkv", ".webm"):
            video.metadata[RATE_TAG] = str(settings.fps)
        streams: list[Iterable[_Timed]] = [_video_packets(segments, plans, settings, video)]
        source = open_input(audio.path) if isinstance(audio, AudioFrom) else None
        try:
            if isinstance(audio, Audio):
                encoded = add_sound(output, settings.suffix, audio, total / settings.fps)
                streams.append((when, 1, packet) for when, packet in encoded)
            elif source and audio:
                streams.append(_sound(source, output, audio, total / settings.fps))
            for _, _, packet in heapq.merge(*streams, key=lambda timed: timed[:2]):
                output.mux(packet)
        except (av.FFmpegError, ValueError) as error:
            if isinstance(error, OSError):
                raise
            sound = f" with the sound of {audio.path}" if isinstance(audio, AudioFrom) else ""
            why = getattr(error, "strerror", None) or error
            expected = f"streams that {settings.suffix} takes"
            raise EncodeSettingsError(settings.codec, expected, f"{why}{sound}") from error
        finally:
            if source:
                source.close()
    return total


def _read_order(segment: str | os.PathLike[str]) -> tuple[int, ...]:
    """Place in presentation of every packet of a segment, in decoding order."""
    with open_input(segment) as container:
        ticks = [
            packet.pts or 0
            for packet in read_packets(container, choose_video(container, segment), segment)
            if packet.size
        ]
    places = {tick: place for place, tick in enumerate(sorted(ticks))}
    if len(places) != len(ticks):
        raise EncodeSettingsError(segment, "a timestamp of its own for each frame", "equal ones")
    return tuple(places[tick] for tick in ticks)


def _video_packets(
    segments: Sequence[str | os.PathLike[str]],
    plans: Sequence[Sequence[int]],
    settings: EncodeSettings,
    stream: Any,
) -> Iterator[_Timed]:
    """Packets of all segments with times in frames; decoding times are as late as order allows."""
    delay = max(decoded - shown for plan in plans for decoded, shown in enumerate(plan))
    offset, extradata = 0, None
    for segment, plan in zip(segments, plans, strict=True):
        with open_input(segment) as container:
            source = choose_video(container, segment)
            extradata = extradata or source.codec_context.extradata
            if source.codec_context.extradata != extradata:
                raise EncodeSettingsError(segment, "the settings of the first segment", "other ones")
            packets = (packet for packet in read_packets(container, source, segment) if packet.size)
            for decoded, (shown, packet) in enumerate(zip(plan, packets, strict=True)):
                packet.time_base = 1 / settings.fps
                packet.pts, packet.dts, packet.duration = offset + shown, offset + decoded - delay, 1
                packet.stream = stream
                yield Fraction(offset + decoded - delay) / settings.fps, 0, packet
        offset += len(plan)


def _sound(
    source: InputContainer, output: OutputContainer, audio: AudioFrom, length: Fraction
) -> Iterator[_Timed]:
    """Adds the sound's stream at once (before the header is written), then gives its packets."""
    stream = choose_audio(source, audio.path, audio.stream)
    try:
        added = copy_stream(output, stream)
    except ValueError as error:
        raise EncodeSettingsError(audio.path, "sound that the container takes", str(error)) from error
    begin = audio.start + begin_of(source, stream)
    return _sound_packets(source, stream, added, begin, length, audio.path)


def _sound_packets(
    source: InputContainer, stream: Any, added: Any, begin: Fraction, length: Fraction, path: str
) -> Iterator[_Timed]:
    base = Fraction(stream.time_base or 1)
    shift = round(begin / base)
    for packet in read_packets(source, stream, path):
        if not packet.size or packet.pts is None:
            continue
        seconds = packet.pts * base - begin
        if seconds < 0:
            continue
        if seconds >= length:
            return
        packet.pts -= shift
        packet.dts = packet.pts
        packet.stream = added
        yield seconds, 1, packet


def _require_written(path: str | os.PathLike[str], count: int, out: str | os.PathLike[str]) -> None:
    """Counts the packets that are there: a muxer may lose a late write error on closing."""
    with open_input(path) as container:
        found = sum(
            1 for packet in read_packets(container, choose_video(container, path), path) if packet.size
        )
    if found != count:
        raise MediaWriteError(out, f"{count} frames in the written file", str(found))
