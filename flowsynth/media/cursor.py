"""Any decoded frame of a video by its index, with the same bits whichever way it is reached."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import TYPE_CHECKING

from flowsynth.media.decoder import Decoder
from flowsynth.media.errors import DecodeError, TruncatedMediaError
from flowsynth.media.info import VideoInfo
from flowsynth.media.packets import is_cut_off
from flowsynth.media.source import open_input, read_packets
from flowsynth.media.walk import Clock, Start, walk

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

#: Frames decoded and dropped rather than sought over.
_STEP = 8
#: Key frames tried, from the nearest back, before decoding from the start.
_TRIES = 3


class FrameCursor:
    """Decodes forward, and seeks to a key frame only when asked to jump.

    A key frame is chosen by the order of *presentation*: frames shown before it but stored after it
    (leading frames of an open GOP) lean on the GOP before, so they are reached from there. Where a
    seek lands later than asked, or the decoder withholds or marks the frame (gradual refresh), an
    earlier key frame is tried, and at last the start of the file.
    """

    def __init__(self, path: str, info: VideoInfo) -> None:
        self._path = path
        self._info = info
        self._place = {tick: index for index, tick in enumerate(info.timestamps)} if info.seekable else {}
        self._frame: VideoFrame | None = None
        self._container: InputContainer | None = None
        self._reopen()

    def frame(self, index: int) -> VideoFrame:
        """Returns the decoded frame ``index``, valid until the next call.

        Raises:
            TruncatedMediaError: The file ends before it.
            DecodeError: It is damaged.
        """
        if not 0 <= index < self._info.frame_count:
            raise IndexError(f"frame {index} of {self._info.frame_count}")
        if self._frame is not None and index == self._index:
            return self._frame
        if not self._is_ahead(index) and self._seek(index):
            assert self._frame is not None
            return self._frame
        if self._index >= index:
            self._reopen()
        return self._run_to(index)

    def close(self) -> None:
        """Closes the file."""
        if self._container is not None:
            self._container.close()
            self._container = None

    def _is_ahead(self, index: int) -> bool:
        """Whether decoding on reaches ``index`` about as soon as a seek would."""
        keys = self._info.key_frames
        nearest = bisect_right(keys, index) - 1
        return index > self._index and (nearest < 0 or keys[nearest] <= self._index + _STEP)

    def _reopen(self) -> None:
        self.close()
        self._container = open_input(self._path)
        self._stream: VideoStream = self._container.streams[self._info.stream]  # type: ignore[assignment]
        self._decoder = Decoder(self._stream, self._info.damage)
        self._index = -1
        self._frame = None
        self._frames = self._decode(read_packets(self._container, self._stream, self._path), self._info.start)

    def _seek(self, index: int) -> bool:
        """Jumps to ``index`` by way of a key frame; False leaves the cursor to be reopened."""
        if not self._info.seekable or self._container is None:
            return False
        keys = self._info.key_frames
        until = bisect_right(keys, index)
        for key in reversed(keys[max(0, until - _TRIES) : until]):
            if self._jump(self._container, self._stream, key, index):
                return True
        self._index = self._info.frame_count  # unknown place: whoever asks next reopens
        return False

    def _jump(self, container: InputContainer, stream: VideoStream, key: int, index: int) -> bool:
        import av

        try:
            container.seek(self._info.timestamps[key], stream=stream, backward=True)
            self._decoder.restart()
            packets = self._from_key(read_packets(container, stream, self._path), index)
            if packets is None:
                return False
            self._frames = self._decode(packets, "any")
            self._index, self._frame = next((pair for pair in self._frames if pair[0] >= index), (-1, None))
        except (av.FFmpegError, DecodeError, TruncatedMediaError):
            return False
        return self._frame is not None and self._index == index and not self._frame.is_corrupt

    def _from_key(
        self, packets: Iterator[Packet[VideoStream]], index: int
    ) -> Iterator[Packet[VideoStream]] | None:
        """Skips to the first key packet after a seek; None if it is shown later than ``index``."""
        for packet in packets:
            if packet.is_keyframe and packet.pts is not None:
                if self._place.get(packet.pts, 0) > index:
                    return None
                return _chain(packet, packets)
        return None

    def _run_to(self, index: int) -> VideoFrame:
        for place, frame in self._frames:
            self._index, self._frame = place, frame
            if place == index:
                return frame
            if place > index:
                raise DecodeError(self._path, f"frame {index}", f"frame {place} after it: it does not decode")
        found = f"the file's end after {self._index + 1} frames (frame {index} was asked for)"
        raise TruncatedMediaError(self._path, self._expected(), found, self._index + 1)

    def _decode(
        self, packets: Iterator[Packet[VideoStream]], start: Start
    ) -> Iterator[tuple[int, VideoFrame]]:
        import av

        info, counted = self._info, 0
        assert self._container is not None
        fails = info.damage == "fail"
        # Sought by their own times, frames need no other clock.
        clock = None if info.seekable else Clock(self._container, self._stream)
        whole = self._whole(packets)
        try:
            for frame in walk(
                whole, self._decoder.decode, start=start, clock=clock, strict=fails, marked=fails
            ):
                place = self._place.get(frame.pts, -1) if self._place and frame.pts is not None else counted
                counted += 1
                if place >= 0:
                    yield place, frame
        except av.FFmpegError as error:
            where = f"after frame {self._index}" if self._index >= 0 else "from the start"
            expected = f"frames that decode, {where} (on_damage: skip or repeat goes on)"
            raise DecodeError(self._path, expected, f"damaged data ({error.strerror})") from error

    def _whole(self, packets: Iterator[Packet[VideoStream]]) -> Iterator[Packet[VideoStream]]:
        """The packets but for one that ends with the file."""
        assert self._container is not None
        for packet in packets:
            if not is_cut_off(self._container, packet):
                yield packet
            elif self._info.damage == "fail":
                found = f"the file's end inside frame {self._index + 1} or one soon after"
                raise TruncatedMediaError(self._path, self._expected(), found, self._index + 1)

    def _expected(self) -> str:
        return f"{self._info.frame_count} frames, as when it was opened"


def _chain(first: Packet[VideoStream], rest: Iterator[Packet[VideoStream]]) -> Iterator[Packet[VideoStream]]:
    yield first
    yield from rest
