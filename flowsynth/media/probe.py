"""What a video file holds, frame by frame: from its packets, or where those say too little, its frames."""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from flowsynth.media.animated import by_pillow, probe_pictures
from flowsynth.media.choose import Wanted, choose_video
from flowsynth.media.hdr import PEAK, colour_of, peak_of
from flowsynth.media.info import VideoInfo
from flowsynth.media.listing import Listed, by_frames, by_packets, needs_frames
from flowsynth.media.orientation import Orientation, frame_orientation
from flowsynth.media.packets import Packets, header_seconds, require_complete, survey
from flowsynth.media.rate import Rate, declared_rates, measure_rate, untimed_rate
from flowsynth.media.source import open_input
from flowsynth.media.walk import Damage

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


#: Told of a video whose frames hold two fields each.
_INTERLACED = "interlaced: each frame weaves two moments together, and what moves has combs"


def probe(path: str | os.PathLike[str], *, stream: Wanted = None, damage: Damage = "fail") -> VideoInfo:
    """Reads every packet's header of a video file, and one frame; decodes all where packets say too little.

    Args:
        path: A video file, in any container and codec that FFmpeg reads.
        stream: Which of several video streams: its index among them, or a language.
        damage: What to do about frames that don't decode.

    Raises:
        MediaNotFoundError: No such file.
        NotMediaError: A folder, an empty file, a file that is no video.
        NoVideoStreamError: No video stream, or not the one that was asked for.
        EmptyVideoError: A video stream without a frame.
        TruncatedMediaError: Fewer frames than the file's own index promises, or its index is cut off.
        DecodeError: No frame can be decoded.
    """
    kind = by_pillow(path)
    if kind:
        return probe_pictures(path, kind)
    with open_input(path) as container:
        video = choose_video(container, path, stream)
        packets = survey(container, video, path)
        if damage == "fail" or not packets.pts:
            require_complete(path, container, video, packets)
        untrusted = damage != "fail" or needs_frames(container, video, packets)
    with open_input(path) as container:
        video = choose_video(container, path, stream)
        if untrusted:
            listed = by_frames(container, video, path, packets, damage)
        else:
            listed = by_packets(container, video, path, packets)
        return replace(_info(path, container, video, listed, packets), damage=damage)


def _info(
    path: str | os.PathLike[str],
    container: InputContainer,
    stream: VideoStream,
    listed: Listed,
    packets: Packets,
) -> VideoInfo:
    frame, ticks = listed.first, listed.ticks
    time_base = Fraction(stream.time_base or Fraction(1, 25))
    last = listed.last or (ticks[-1] - ticks[-2] if len(ticks) > 1 else 0)
    if not last:
        last = max(0, round(header_seconds(container, stream) / time_base) - ticks[-1])
    rate = _rate(stream, listed, packets, last, time_base)
    if not last or not packets.timed:
        last = max(1, round(1 / rate.fps / time_base))
    if container.format.name == "avi" and packets.pts[0] == packets.dts[0]:
        last = max(last, packets.promised - ticks[-1])  # places without a frame at the end
    orientation = frame_orientation(frame)
    shown = _shown_size(frame, stream, orientation)
    return VideoInfo(
        path=str(path),
        stream=stream.index,
        width=shown[0],
        height=shown[1],
        coded_width=frame.width,
        coded_height=frame.height,
        orientation=orientation,
        rate=rate,
        time_base=time_base,
        timestamps=ticks,
        end_timestamp=ticks[-1] + last,
        key_frames=listed.keys,
        has_audio=bool(container.streams.audio),
        codec=stream.codec_context.codec.canonical_name,
        container=container.format.name,
        pixel_format=frame.format.name,
        bit_depth=max(component.bits for component in frame.format.components),
        seekable=listed.timed,
        start=listed.start,
        colour=colour_of(frame),
        peak=peak_of(frame) if colour_of(frame) else PEAK,
        notes=(*listed.notes, *([_INTERLACED] if frame.interlaced_frame else [])),
    )


def _rate(stream: VideoStream, listed: Listed, packets: Packets, last: int, time_base: Fraction) -> Rate:
    if all(tick is None for tick in packets.dts) and not packets.timed:
        return Rate(untimed_rate(stream), variable=False, grid=True)
    return measure_rate(listed.ticks, last, time_base, declared_rates(stream))


def _shown_size(frame: VideoFrame, stream: VideoStream, orientation: Orientation) -> tuple[int, int]:
    """Size in square pixels after rotation: a non-square pixel widens or narrows the picture."""
    aspect = stream.sample_aspect_ratio or Fraction(1)
    width = max(1, round(frame.width * aspect)) if aspect > 0 else frame.width
    return (width, frame.height) if orientation[0] else (frame.height, width)
