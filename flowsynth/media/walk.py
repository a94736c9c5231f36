"""Frames of a video in the order in which its decoder shows them, on one unbroken clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from flowsynth.media.errors import raise_if_limit
from flowsynth.media.packets import ResetJudge, jumps

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

#: Where frames begin to count: at the first that the decoder gives, at a key frame, or at one that isn't
#: marked as damaged (gradual refresh has no key frames).
Start = Literal["any", "key", "whole"]
#: What to do about frames that don't decode: stop, leave them out, or show the one before once more.
Damage = Literal["fail", "skip", "repeat"]


#: Ticks beyond which no time is one: half of what 64 bits hold.
_FARTHEST = 1 << 62


class Clock:
    """Makes the times of packets run on where the stream's own clock is set anew.

    Attributes:
        broken: Whether some packet's times were moved.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self.broken = False
        self._judge = ResetJudge(jumps(container), Fraction(stream.time_base or 1))
        self._offset = self._last = 0

    def set(self, packet: Packet[VideoStream]) -> None:
        """Moves a packet's times, in decoding order, so that they follow those before."""
        if packet.dts is None:
            return
        if self._judge.is_reset(packet.dts, packet.is_keyframe):
            self._offset = self._last + (self._judge.step or packet.duration or 1) - packet.dts
            self.broken = True
        times = [packet.dts + self._offset, (packet.pts or 0) + self._offset]
        if max(map(abs, times)) > _FARTHEST:  # a lie, and no number that a packet holds
            packet.dts = packet.pts = None
            self.broken = True
            return
        self._last = packet.dts + self._offset
        if self._offset:
            packet.dts = self._last
            packet.pts = None if packet.pts is None else packet.pts + self._offset


def walk(
    packets: Iterable[Packet[VideoStream]],
    decode: Callable[[Packet[VideoStream]], list[VideoFrame]],
    *,
    start: Start,
    clock: Clock | None = None,
    strict: bool = True,
    marked: bool = True,
) -> Iterator[VideoFrame]:
    """Gives the frames of a stream in the order in which they are shown.

    What a decoder makes of packets before the first key frame leans on frames that aren't there.

    Args:
        packets: Packets of one stream.
        decode: Its decoder.
        start: Where frames begin to count.
        clock: Sets the packets' times, where the stream's own can't be used.
        strict: Raise what the decoder says of damage; else go on after it.
        marked: Give frames, too, that the decoder marks as damaged.

    Raises:
        av.FFmpegError: Damaged data after the first frame.
        SystemLimitError: Memory ran out, which is no damage.
    """
    import av

    started = start == "any"
    for packet in packets:
        if clock is not None:
            clock.set(packet)
        try:
            frames = decode(packet)
        except av.FFmpegError as error:
            raise_if_limit(packet.stream.container.name.removeprefix("file:"), error)
            if started and strict:
                raise
            continue
        for frame in frames:
            started = started or (frame.key_frame if start == "key" else not frame.is_corrupt)
            if started and (marked or not frame.is_corrupt):
                yield frame
