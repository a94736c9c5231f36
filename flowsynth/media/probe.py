"""What a video file holds, frame by frame, from its packets."""

from __future__ import annotations

import itertools
import os
import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from flowsynth.media.codecs import RATE_TAG
from flowsynth.media.errors import DecodeError, EmptyVideoError, TruncatedMediaError
from flowsynth.media.source import open_input, read_packets, video_stream

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

#: (a, b, c, d): a decoded pixel (x, y) is shown at (a x + c y, b x + d y), up to a shift.
Orientation = tuple[int, int, int, int]
UPRIGHT: Orientation = (1, 0, 0, 1)

#: Packets tried for the one frame that tells the orientation: a stream may start inside a GOP.
_FIRST_FRAME_PACKETS = 256


@dataclass(frozen=True)
class VideoInfo:
    """The exact facts of a video file's first video stream.

    Attributes:
        path: The file; no part of equality.
        width: Pixels across as shown: square pixels, after rotation.
        height: Pixels down as shown.
        coded_width: Pixels across as stored.
        coded_height: Pixels down as stored.
        orientation: Turn or mirror to apply to a stored frame.
        rotation: The turn alone, degrees counter-clockwise: 0, 90, 180 or 270.
        fps: Frames per second; the average one where the rate varies.
        variable_frame_rate: Whether some frame is a tick or more away from ``k / fps``.
        time_base: Seconds of one tick.
        timestamps: When each frame is shown, in ticks, increasing.
        end_timestamp: When the last frame stops being shown, in ticks.
        key_frames: Frames (by index) at which decoding can start, increasing.
        has_audio: Whether there is an audio stream.
        codec: Codec's name, such as ``h264``.
        container: Container formats' names, as the demuxer gives them.
        pixel_format: Stored pixel format, such as ``yuv420p``.
        bit_depth: Bits of a stored colour component.
        seekable: Whether every packet had a timestamp of its own, so that frames can be sought.
    """

    path: str = field(compare=False)
    width: int
    height: int
    coded_width: int
    coded_height: int
    orientation: Orientation
    rotation: int
    fps: Fraction
    variable_frame_rate: bool
    time_base: Fraction
    timestamps: tuple[int, ...] = field(repr=False)
    end_timestamp: int
    key_frames: tuple[int, ...] = field(repr=False)
    has_audio: bool
    codec: str
    container: str
    pixel_format: str
    bit_depth: int
    seekable: bool

    @property
    def frame_count(self) -> int:
        """Number of frames, exactly."""
        return len(self.timestamps)

    @property
    def duration(self) -> Fraction:
        """Seconds from the first frame's start to the last one's end; frames / fps at a constant rate."""
        measured = (self.end_timestamp - self.timestamps[0]) * self.time_base
        even = self.frame_count / self.fps
        exact = not self.variable_frame_rate and abs(measured - even) <= 2 * self.time_base
        return even if exact else measured

    def time(self, index: int) -> Fraction:
        """Seconds from the first frame to frame ``index``; exact multiples of 1/fps at a constant rate."""
        if not self.variable_frame_rate:
            return index / self.fps
        return (self.timestamps[index] - self.timestamps[0]) * self.time_base


@dataclass(frozen=True)
class _Packets:
    """Every shown packet's ticks, in file order, and what they say of the file's end."""

    pts: list[int]
    durations: list[int]
    keys: list[bool]
    complete: int
    timed: bool


def probe(path: str | os.PathLike[str]) -> VideoInfo:
    """Reads every packet's header of a video file (and one frame, for its orientation).

    Args:
        path: A video file, in any container and codec that FFmpeg reads.

    Raises:
        MediaNotFoundError: No such file.
        NotMediaError: A folder, an empty file, a file that is no video.
        NoVideoStreamError: No video stream.
        EmptyVideoError: A video stream without a frame.
        TruncatedMediaError: Fewer frames than the file's own index promises, or its index is cut off.
        DecodeError: No frame can be decoded.
    """
    with open_input(path) as container:
        stream = video_stream(container, path)
        promised = _promised(container, stream)
        packets = _demux(container, stream, path)
        _require_complete(path, container, stream, packets, promised)
    with open_input(path) as container:
        frame = _first_frame(container, path)
        return _info(path, container, frame, packets)


def _promised(container: InputContainer, stream: VideoStream) -> int:
    """Frames that the file's own index names, 0 where it has none; known before reading packets."""
    if "mov" in container.format.name:
        return len(stream.index_entries)  # after edit lists, unlike the count in the header
    return stream.frames if container.format.name == "avi" else 0


def _demux(container: InputContainer, stream: VideoStream, path: str | os.PathLike[str]) -> _Packets:
    pts: list[int] = []
    durations: list[int] = []
    keys: list[bool] = []
    complete, timed = 0, True
    vp8 = stream.codec_context.name == "vp8"
    for number, packet in enumerate(read_packets(container, stream, path)):
        if not packet.size or packet.is_corrupt:
            continue
        complete += 1
        # VP8's golden frames come as packets of their own that are never shown (RFC 6386, 9.1).
        if packet.is_discard or (vp8 and not bytes(packet)[0] >> 4 & 1):
            continue
        timed &= packet.pts is not None
        tick = packet.pts if packet.pts is not None else packet.dts
        pts.append(number if tick is None else tick)
        durations.append(packet.duration or 0)
        keys.append(packet.is_keyframe)
    return _Packets(pts, durations, keys, complete, timed and len(set(pts)) == len(pts))


def _require_complete(
    path: str | os.PathLike[str],
    container: InputContainer,
    stream: VideoStream,
    packets: _Packets,
    promised: int,
) -> None:
    if not packets.complete and not promised:
        raise EmptyVideoError(path, "a video with at least one frame", "a video stream of 0 frames")
    if packets.complete < promised:
        expected = f"{promised} frames, as its index says"
        found = f"the file's end after {packets.complete}"
        raise TruncatedMediaError(path, expected, found, packets.complete)
    base = Fraction(stream.time_base or 1)
    promised_seconds = _header_seconds(container, stream)
    if promised_seconds and len(packets.pts) > 1:
        # The last frame's own duration may not be stored; it is at most about the longest wait before.
        ticks = sorted(packets.pts)
        longest = (
            max(*packets.durations, *(after - before for before, after in itertools.pairwise(ticks))) * base
        )
        seconds = ticks[-1] * base + longest
        if promised_seconds - seconds > max(Fraction(1, 4), longest):
            expected = f"{float(promised_seconds):.3f} s, as its header says"
            found = f"the file's end after {float(seconds):.3f} s ({packets.complete} frames)"
            raise TruncatedMediaError(path, expected, found, packets.complete)
    if not packets.pts:
        raise EmptyVideoError(path, "a video with at least one frame", "packets without a shown frame")


def _header_seconds(container: InputContainer, stream: VideoStream) -> Fraction:
    """The end of a Matroska track as its tags state it, 0 where they don't."""
    if "matroska" not in container.format.name:
        return Fraction(0)
    tag = next((value for key, value in stream.metadata.items() if key.upper().startswith("DURATION")), "")
    match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", tag)
    return int(match[1]) * 3600 + int(match[2]) * 60 + Fraction(match[3]) if match else Fraction(0)


def _first_frame(container: InputContainer, path: str | os.PathLike[str]) -> VideoFrame:
    import av

    stream = video_stream(container, path)
    failure: Exception | None = None
    for number, packet in enumerate(read_packets(container, stream, path)):
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            failure = error
            frames = []
        if frames:
            return frames[0]
        if number > _FIRST_FRAME_PACKETS:
            break
    raise DecodeError(path, "frames that decode", f"none in its first packets ({failure})") from failure


def _orientation(frame: VideoFrame) -> Orientation:
    for item in frame.side_data:
        # PyAV's container iterates over the items, though it calls itself a mapping.
        data: Any = item
        if data.type.name == "DISPLAYMATRIX":
            import numpy as np

            a, b, _, c, d = (
                int(np.sign(v)) if abs(v) > 1 << 15 else 0 for v in np.frombuffer(bytes(data), "<i4")[:5]
            )
            if abs(a * d - b * c) == 1 and (a == 0) != (b == 0):
                return a, b, c, d
    return UPRIGHT


_TURNS: dict[tuple[int, int], int] = {(1, 0): 0, (0, -1): 90, (-1, 0): 180, (0, 1): 270}


def _info(
    path: str | os.PathLike[str], container: InputContainer, frame: VideoFrame, packets: _Packets
) -> VideoInfo:
    stream = video_stream(container, path)
    order = sorted(range(len(packets.pts)), key=packets.pts.__getitem__)
    ticks = tuple(packets.pts[i] for i in order)
    orientation = _orientation(frame)
    shown = _shown_size(frame, stream, orientation)
    time_base = Fraction(stream.time_base or Fraction(1, 25))
    last = packets.durations[order[-1]] or (ticks[-1] - ticks[-2] if len(ticks) > 1 else 0)
    if not last:
        last = max(0, round(_header_seconds(container, stream) / time_base) - ticks[-1])
    fps, variable = _rate(ticks, last, time_base, stream)
    if not last or not packets.timed:
        last = max(1, round(1 / fps / time_base))
    a, b, c, d = orientation
    mirrored = a * d - b * c < 0
    return VideoInfo(
        path=str(path),
        width=shown[0],
        height=shown[1],
        coded_width=frame.width,
        coded_height=frame.height,
        orientation=orientation,
        rotation=_TURNS[(-a, b) if mirrored else (a, b)],
        fps=fps,
        variable_frame_rate=variable,
        time_base=time_base,
        timestamps=ticks,
        end_timestamp=ticks[-1] + last,
        key_frames=tuple(place for place, i in enumerate(order) if packets.keys[i]),
        has_audio=bool(container.streams.audio),
        codec=stream.codec_context.codec.canonical_name,
        container=container.format.name,
        pixel_format=frame.format.name,
        bit_depth=max(component.bits for component in frame.format.components),
        seekable=packets.timed,
    )


def _shown_size(frame: VideoFrame, stream: VideoStream, orientation: Orientation) -> tuple[int, int]:
    """Size in square pixels after rotation: a non-square pixel widens or narrows the picture."""
    aspect = stream.sample_aspect_ratio or Fraction(1)
    width = max(1, round(frame.width * aspect)) if aspect > 0 else frame.width
    return (width, frame.height) if orientation[0] else (frame.height, width)


def _tagged_rate(stream: VideoStream) -> Fraction | None:
    """The rate that a Matroska tag gives, if it is one."""
    try:
        rate = Fraction(stream.metadata.get(RATE_TAG, ""))
    except (ValueError, ZeroDivisionError):
        return None
    return rate if 0 < rate < 1_000_000 else None


def _rate(
    ticks: tuple[int, ...], last: int, time_base: Fraction, stream: VideoStream
) -> tuple[Fraction, bool]:
    """The constant rate that explains every timestamp within a tick, else the average one.

    Containers round timestamps to their time base (Matroska to milliseconds), so that a declared
    rate is preferred to the one the ticks give.
    """
    rates = (_tagged_rate(stream), stream.average_rate, stream.guessed_rate, stream.base_rate)
    declared = [Fraction(rate) for rate in rates if rate]
    span = ticks[-1] - ticks[0]
    if len(ticks) == 1 or span <= 0:
        # Where a container names no rate, FFmpeg guesses one frame a tick.
        fit = [rate for rate in declared if not last or abs(1 / (rate * time_base) - last) < 1]
        own = (1 / (last * time_base)).limit_denominator(1001) if last else Fraction(25)
        return (fit[0] if fit else own), False
    step = Fraction(span, len(ticks) - 1)
    for rate in [*declared, (1 / (step * time_base)).limit_denominator(1001)]:
        ideal = 1 / (rate * time_base)
        if all(abs(tick - ticks[0] - k * ideal) < 1 for k, tick in enumerate(ticks)):
            return rate, False
    return (1 / (step * time_base)).limit_denominator(100_000), True
