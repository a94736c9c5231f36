"""What the packets of a video stream say, before anything is decoded."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from flowsynth.media.errors import EmptyVideoError, TruncatedMediaError
from flowsynth.media.source import read_packets

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

#: Seconds between two packets that are a jump of the clock rather than a long wait, in containers that jump.
_JUMP = 10
#: Seconds by which decoding times may run backward without a reason.
_SLACK = Fraction(1, 2)


@dataclass(frozen=True)
class Packets:
    """Every shown packet's ticks, in file order, and what they say of the file's end.

    Attributes:
        pts: When each is shown, in ticks (its place in the file where it has no time).
        dts: When each is decoded; None where that isn't stored.
        durations: Ticks for which each is shown, 0 where that isn't stored.
        keys: Whether decoding can start at each.
        complete: Packets that are whole, hidden ones too.
        timed: Whether each has a time of its own.
        promised: What the file's own header or index says there is, 0 where it doesn't.
        damaged: Packets that the container calls damaged.
        starts_whole: Whether decoding can start at the first packet, and nothing is shown before it.
    """

    pts: list[int]
    dts: list[int | None]
    durations: list[int]
    keys: list[bool]
    complete: int
    timed: bool
    promised: int
    damaged: int
    starts_whole: bool


def jumps(container: InputContainer) -> bool:
    """Whether a container's clock may be set anew in the middle: broadcast, and files joined byte by byte."""
    return container.format.name in ("mpegts", "mpeg")


def is_cut_off(container: InputContainer, packet: Packet[VideoStream]) -> bool:
    """Whether a packet ends with the file. In a transport stream the flag says that others are missing."""
    return packet.is_corrupt and packet.size > 0 and not jumps(container)


def survey(container: InputContainer, stream: VideoStream, path: str | os.PathLike[str]) -> Packets:
    """Reads the headers of all packets of a stream."""
    promised = _promised(container, stream)
    indexed = len(stream.index_entries)
    found = Packets([], [], [], [], 0, timed=True, promised=promised, damaged=0, starts_whole=True)
    complete, damaged, timed, last = 0, 0, True, 0
    head: Packet[VideoStream] | None = None
    vp8 = stream.codec_context.name == "vp8"
    for number, packet in enumerate(read_packets(container, stream, path)):
        if not packet.size:
            continue
        damaged += packet.is_corrupt
        if is_cut_off(container, packet):
            continue
        complete += 1
        head = head or packet
        last = max(last, (packet.dts or 0) + 1)
        # VP8's golden frames come as packets of their own that are never shown (RFC 6386, 9.1).
        if packet.is_discard or (vp8 and not bytes(packet)[0] >> 4 & 1):
            continue
        timed &= packet.pts is not None
        tick = packet.pts if packet.pts is not None else packet.dts
        found.pts.append(number if tick is None else tick)
        found.dts.append(packet.dts)
        found.durations.append(packet.duration or 0)
        found.keys.append(packet.is_keyframe)
    if container.format.name == "avi" and promised:
        # Its header counts places, some of them empty (a frame is repeated); its index, at the end, chunks.
        whole = 1 < indexed <= complete
        complete = promised if whole else last
    timed = timed and len(set(found.pts)) == len(found.pts)
    # What an edit list hides may well be shown late.
    early = head is not None and not head.is_discard and found.pts[:1] != [min(found.pts, default=0)]
    starts_whole = head is not None and head.is_keyframe and not early
    return replace(found, complete=complete, damaged=damaged, timed=timed, starts_whole=starts_whole)


def _promised(container: InputContainer, stream: VideoStream) -> int:
    """Frames that the file's own index or header names, 0 where it has none; known before reading packets."""
    if "mov" in container.format.name:
        return len(stream.index_entries)  # after edit lists, unlike the count in the header
    return stream.frames if container.format.name == "avi" else 0


def has_reset(packets: Packets, container: InputContainer, stream: VideoStream) -> bool:
    """Whether the clock of decoding times is set anew somewhere."""
    judge = ResetJudge(jumps(container), Fraction(stream.time_base or 1))
    pairs = zip(packets.dts, packets.keys, strict=True)
    return any(judge.is_reset(tick, key) for tick, key in pairs if tick is not None)


class ResetJudge:
    """Tells where a clock of decoding times was set anew, packet by packet.

    Args:
        jumping: Whether the container's clock may jump at all (see :func:`jumps`).
        base: Seconds of a tick.

    Attributes:
        step: Ticks between the two last packets that follow each other, 0 before there are two.
    """

    def __init__(self, jumping: bool, base: Fraction) -> None:
        self.step = 0
        self._jumping, self._back, self._ahead = jumping, -_SLACK / base, _JUMP / base
        self._last: int | None = None

    def is_reset(self, tick: int, key: bool) -> bool:
        """Takes the next packet's decoding time, as it is stored, and whether decoding can start at it.

        Some containers' times are guesses that waver, so that a small step back counts only at a key frame.
        """
        step = 0 if self._last is None else tick - self._last
        self._last = tick
        back = step < self._back or (step < 0 and key and self._jumping)
        ahead = self._jumping and self.step > 0 and step > 10 * self.step and step > self._ahead
        if not back and not ahead:
            self.step = step if step > 0 else self.step
        return back or ahead


def require_complete(
    path: str | os.PathLike[str], container: InputContainer, stream: VideoStream, packets: Packets
) -> None:
    """Checks what was read against what the file says of itself.

    Raises:
        EmptyVideoError: No frame at all.
        TruncatedMediaError: Less than promised.
    """
    if not packets.complete and not packets.promised:
        raise EmptyVideoError(path, "a video with at least one frame", "a video stream of 0 frames")
    if packets.complete < packets.promised:
        whose = "header" if container.format.name == "avi" else "index"
        expected = f"{packets.promised} frames, as its {whose} says"
        found = f"the file's end after {packets.complete}"
        raise TruncatedMediaError(path, expected, found, packets.complete)
    base = Fraction(stream.time_base or 1)
    promised_seconds = header_seconds(container, stream)
    if promised_seconds and len(packets.pts) > 1:
        # The last frame's own duration may not be stored; it is at most about the longest wait before.
        ticks = sorted(packets.pts)
        longest = max(*packets.durations, *(after - before for before, after in pairwise(ticks))) * base
        seconds = ticks[-1] * base + longest
        if promised_seconds - seconds > max(Fraction(1, 4), longest):
            expected = f"{float(promised_seconds):.3f} s, as its header says"
            found = f"the file's end after {float(seconds):.3f} s ({packets.complete} frames)"
            raise TruncatedMediaError(path, expected, found, packets.complete)
    if not packets.pts:
        raise EmptyVideoError(path, "a video with at least one frame", "packets without a shown frame")


def header_seconds(container: InputContainer, stream: VideoStream) -> Fraction:
    """The end of a Matroska track as its tags state it, 0 where they don't."""
    if "matroska" not in container.format.name:
        return Fraction(0)
    tag = next((value for key, value in stream.metadata.items() if key.upper().startswith("DURATION")), "")
    match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", tag)
    return int(match[1]) * 3600 + int(match[2]) * 60 + Fraction(match[3]) if match else Fraction(0)
