"""The decoder of a video stream: FFmpeg's usual one, or one that knows the stream's transparency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowsynth.media.walk import Damage

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

#: Alpha of VP8 and VP9 in Matroska is a second stream beside each packet, which only libvpx decodes.
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


class Decoder:
    """Decodes the packets of one stream.

    Args:
        stream: The stream; its own context is used unless it can't give transparency.
        damage: Damage to be passed over is decoded on one thread: what a decoder hides depends on them.
    """

    def __init__(self, stream: VideoStream, damage: Damage) -> None:
        import av

        name = _WITH_ALPHA.get(stream.codec_context.name, "")
        self._own: Any = None
        if name and stream.metadata.get("alpha_mode") == "1" and name in av.codecs_available:
            self._own = av.CodecContext.create(name, "r")
        elif damage == "fail":
            stream.thread_type = "AUTO"
        else:
            stream.codec_context.thread_count = 1

    def decode(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        """The frames that are ready after a packet; the empty one at the end gives all that are left.

        Raises:
            av.FFmpegError: Damaged data.
        """
        frames: list[VideoFrame] = packet.decode() if self._own is None else self._own.decode(packet)
        return frames

    def restart(self) -> None:
        """Forgets what came before a seek; FFmpeg does so for the stream's own context."""
        if self._own is not None:
            self._own.flush_buffers()
