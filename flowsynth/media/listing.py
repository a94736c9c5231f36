"""Which frames a video stream has, and when each is shown: by its packets, or by decoding it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from flowsynth.media.choose import choose_video
from flowsynth.media.decoder import Decoder
from flowsynth.media.errors import DecodeError
from flowsynth.media.packets import Packets, has_reset, is_cut_off, jumps
from flowsynth.media.rate import untimed_rate
from flowsynth.media.source import open_input, read_packets
from flowsynth.media.walk import Clock, Damage, Start, walk

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

#: Packets tried for the one frame that tells the orientation: a stream may start inside a GOP.
_FIRST_FRAME_PACKETS = 256


@dataclass
class Listed:
    """The frames of a stream: when each is shown, and which stand on their own.

    ``timed`` says that the ticks are those of the stored timestamps, so that frames can be sought by them.
    """

    first: VideoFrame
    ticks: tuple[int, ...]
    keys: tuple[int, ...]
    last: int
    timed: bool
    start: Start = "any"
    notes: tuple[str, ...] = ()


def needs_frames(container: InputContainer, stream: VideoStream, packets: Packets) -> bool:
    """Whether packets don't tell which frames there are and when.

    So where times are missing, equal, set anew or those of decoding (AVI keeps no others), where the stream
    starts inside a group of pictures, and where the container misses packets.
    """
    reordered_avi = container.format.name == "avi" and stream.codec_context.has_b_frames
    missing = packets.damaged > 0 and jumps(container)
    unclear = not packets.timed or reordered_avi or missing or not packets.starts_whole
    return unclear or has_reset(packets, container, stream)


def by_packets(
    container: InputContainer, stream: VideoStream, path: str | os.PathLike[str], packets: Packets
) -> Listed:
    """The frames that packets name.

    Raises:
        DecodeError: Not one frame decodes.
    """
    frame = _first_frame(container, stream, path)
    order = sorted(range(len(packets.pts)), key=packets.pts.__getitem__)
    ticks = tuple(packets.pts[i] for i in order)
    keys = tuple(place for place, i in enumerate(order) if packets.keys[i])
    return Listed(frame, ticks, keys, packets.durations[order[-1]], timed=True)


def _first_frame(container: InputContainer, stream: VideoStream, path: str | os.PathLike[str]) -> VideoFrame:
    import av

    failure: Exception | None = None
    decoder = Decoder(stream, "fail")
    for number, packet in enumerate(read_packets(container, stream, path)):
        try:
            frames = decoder.decode(packet)
        except av.FFmpegError as error:
            failure = error
            frames = []
        if frames:
            return frames[0]
        if number > _FIRST_FRAME_PACKETS:
            break
    raise _nothing_decodes(path, failure) from failure


def _nothing_decodes(path: str | os.PathLike[str], failure: Exception | None) -> DecodeError:
    why = f" ({getattr(failure, 'strerror', failure)})" if failure else ""
    return DecodeError(path, "frames that decode", f"none in its first packets{why}")


def by_frames(
    container: InputContainer,
    stream: VideoStream,
    path: str | os.PathLike[str],
    packets: Packets,
    damage: Damage,
) -> Listed:
    """The frames that a decoder gives.

    Raises:
        DecodeError: It gives none.
    """
    found = _decoded(container, stream, path, damage, "key")
    if found is None:
        with open_input(path) as again:
            found = _decoded(again, choose_video(again, path, stream.index), path, damage, "whole")
    if found is None:
        raise _nothing_decodes(path, None)
    rate = untimed_rate(stream) * Fraction(stream.time_base or 1)
    ticks, timed = _one_clock(found.pts, packets, rate)
    stored = timed and packets.timed and not found.clock.broken
    early = sum(tick < ticks[0] for tick in packets.pts) if stored else 0
    notes = _notes(found, early, len(packets.pts) - len(ticks) - early, damage)
    last = packets.durations[packets.pts.index(max(packets.pts))]
    if damage == "repeat" and stored:
        # What a damaged packet says of its time may be anything: no more than its frames' usual waits.
        tail = sum(tick > ticks[-1] for tick in packets.pts)
        wait = max((after - before for before, after in pairwise(ticks)), default=last)
        last += min(max(packets.pts) - ticks[-1], tail * wait)
    if damage == "skip" and stored:
        ticks = _closed(ticks, packets)
    sought = stored and damage == "fail"
    return Listed(found.first, ticks, tuple(found.keys), last, sought, found.start, tuple(notes))


def _notes(found: _Decoded, early: int, missing: int, damage: Damage) -> list[str]:
    notes = []
    if found.clock.broken:
        notes.append("its clock is set anew in the middle: the parts are joined")
    if early:
        notes.append(f"starts inside a group of pictures: {early} frames before its first key frame left out")
    if damage != "fail" and missing > 0:
        done = "left out" if damage == "skip" else "the frame before each is repeated"
        notes.append(f"{missing} frames do not decode: {done}")
    return notes


@dataclass
class _Decoded:
    """What a decoder gave of a whole stream: the first frame, every frame's time, places of key frames."""

    first: VideoFrame
    pts: list[int | None]
    keys: list[int]
    clock: Clock
    start: Start


def _decoded(
    container: InputContainer, stream: VideoStream, path: str | os.PathLike[str], damage: Damage, start: Start
) -> _Decoded | None:
    """Decodes all; None where no frame comes."""
    decode = Decoder(stream, damage).decode
    packets = (p for p in read_packets(container, stream, path) if not is_cut_off(container, p))
    clock = Clock(container, stream)
    pts: list[int | None] = []
    keys: list[int] = []
    first: VideoFrame | None = None
    for frame in walk(packets, decode, start=start, clock=clock, strict=False, marked=damage == "fail"):
        first = first or frame
        if frame.key_frame:
            keys.append(len(pts))
        pts.append(frame.pts)
    return None if first is None else _Decoded(first, pts, keys, clock, start)


def _one_clock(pts: list[int | None], packets: Packets, rate: Fraction) -> tuple[tuple[int, ...], bool]:
    """Increasing ticks for frames in the order in which they are shown, and whether they are stored ones."""
    known = [tick for tick in pts if tick is not None]
    if len(known) == len(pts) and _increases(known):
        return tuple(known), True
    decoded = sorted(tick for tick in packets.dts if tick is not None)
    if len(decoded) == len(packets.pts) and len(decoded) >= len(pts) and _increases(decoded):
        return tuple(decoded[-len(pts) :]), False
    return tuple(round(k / rate) for k in range(len(pts))), False


def _increases(ticks: list[int]) -> bool:
    return all(before < after for before, after in pairwise(ticks))


def _closed(ticks: tuple[int, ...], packets: Packets) -> tuple[int, ...]:
    """Ticks of the frames there are, with no wait where others are missing."""
    slots = sorted(tick for tick in packets.pts if tick >= ticks[0])
    waits = {before: after - before for before, after in pairwise(slots)}
    closed = [ticks[0]]
    for before in ticks[:-1]:
        closed.append(closed[-1] + waits.get(before, 1))
    return tuple(closed)
