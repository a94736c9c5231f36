"""Frames of three bytes a pixel, coded by Ut Video: each alone, lossless, about 350 MB a second both ways.

Measured beside FFV1 (a sixth smaller, five times slower) and others: `benchmarks/results/cache_io.md`.
Format: https://ffmpeg.org/ffmpeg-codecs.html (utvideo).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from flowsynth.cache.coding_rows import Kind

if TYPE_CHECKING:
    import av
    import numpy as np
    from numpy.typing import NDArray

_FORMAT = "gbrp"
#: Planes of that format -> channels of ours.
_CHANNELS = (1, 2, 0)
_LARGEST_SIDE = 1 << 14


class UtVideo:
    """Rows of frames, T, 3, H, W of bytes."""

    def fits(self, kind: Kind) -> bool:
        """Frames of three channels of bytes, of sizes that FFmpeg takes."""
        dtype, shape = kind
        if dtype != "U8" or len(shape) != 4 or shape[1] != len(_CHANNELS):
            return False
        return all(1 <= side <= _LARGEST_SIDE for side in shape[2:])

    def pack(self, rows: Iterable[memoryview], kind: Kind) -> tuple[str, list[bytes]]:
        """FFmpeg's encoder over all frames; common is what its decoder is told before the first."""
        import av

        shape = kind.shape
        context: Any = _context("w", shape)
        context.time_base = Fraction(1, 25)
        context.options = {"pred": "median"}
        packets: list[bytes] = []
        try:
            for i, row in enumerate(rows):
                frame = av.VideoFrame(shape[3], shape[2], _FORMAT)
                frame.pts = i
                for mine, theirs in zip(_planes_of(row, shape), _planes(frame), strict=True):
                    theirs[:] = mine
                packets += [bytes(packet) for packet in context.encode(frame)]
            packets += [bytes(packet) for packet in context.encode(None)]
        except (av.error.FFmpegError, EOFError) as error:
            raise ValueError(str(error)) from None
        if len(packets) != shape[0]:
            raise ValueError("the encoder gave another number of packets")
        return f"{context.codec_tag} {(context.extradata or b'').hex()}", packets

    def unpack(
        self, packets: Iterable[memoryview], common: str, kind: Kind
    ) -> Iterable[Callable[[memoryview], None]]:
        """FFmpeg's decoder, a frame for every packet."""
        import av

        shape = kind.shape
        tag, _, extra = common.partition(" ")
        context: Any = _context("r", shape)
        context.extradata, context.codec_tag = bytes.fromhex(extra), tag
        for packet in packets:
            try:
                frames = context.decode(av.Packet(bytes(packet)))
            except (av.error.FFmpegError, EOFError) as error:
                raise ValueError(str(error)) from None
            if len(frames) != 1:
                raise ValueError(f"a packet gave {len(frames)} frames")
            yield _writer(frames[0], shape)


def _context(mode: str, shape: tuple[int, ...]) -> Any:
    import av

    context: Any = av.CodecContext.create("utvideo", mode)  # type: ignore[call-overload]
    context.width, context.height, context.pix_fmt = shape[3], shape[2], _FORMAT
    context.thread_count = 1  # others compute meanwhile
    return context


def _writer(frame: av.VideoFrame, shape: tuple[int, ...]) -> Callable[[memoryview], None]:
    if (frame.width, frame.height, frame.format.name) != (shape[3], shape[2], _FORMAT):
        raise ValueError(f"a frame of {frame.width}x{frame.height} {frame.format.name}")

    def write(row: memoryview) -> None:
        for mine, theirs in zip(_planes_of(row, shape), _planes(frame), strict=True):
            mine[:] = theirs

    return write


def _planes_of(row: memoryview, shape: tuple[int, ...]) -> list[NDArray[np.uint8]]:
    """The channels of a raw frame in the order of FFmpeg's planes."""
    import numpy as np

    channels = np.frombuffer(row, np.uint8).reshape(shape[1:])
    return [channels[i] for i in _CHANNELS]


def _planes(frame: av.VideoFrame) -> list[NDArray[np.uint8]]:
    """The planes of FFmpeg's frame, without what pads their rows."""
    import numpy as np

    return [
        np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        for plane in frame.planes
    ]
