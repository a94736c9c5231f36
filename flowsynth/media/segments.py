"""Encoding of independent segments, each starting with a key frame that nothing before it needs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flowsynth.media.atomic import atomic_path
from flowsynth.media.codecs import EncodeSettings, require_pixel_format, require_size
from flowsynth.media.color import BT709, FrameMaker
from flowsynth.media.errors import EncodeSettingsError
from flowsynth.media.siting import is_subsampled, subsampling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

Array = npt.NDArray[Any]

#: Frames by which decoding may be ahead of showing; 16 in H.264 and H.265.
_MOST_DELAY = 64


def encode_segment(
    frames: Iterable[Array], path: str | os.PathLike[str], settings: EncodeSettings
) -> tuple[int, int, int]:
    """Encodes frames into a segment file, for :func:`flowsynth.media.mux.mux` to join.

    Equal frames and settings give equal bytes. Sizes that the pixel format can't hold (odd ones in
    4:2:0) are padded at the right and bottom by repeating the last column and row. For GIF and WebP,
    whose frames lean on all others, a segment is lossless and ``mux`` encodes.

    Args:
        frames: (H, W, 3) pictures, uint8 or uint16, all of one size; at least one.
        path: Where the segment goes (conventionally ``*.nut``); written atomically.
        settings: Codec, quality, rate.

    Returns:
        Width, height (both after padding) and number of frames.

    Raises:
        EncodeSettingsError: No frame, frames of different sizes, or a size the encoder refuses.
        MediaWriteError: The file can't be written.
    """
    final = settings
    if not settings.spec.segmented:
        settings = replace(settings, codec="ffv1", crf=None, pixel_format="bgr0", suffix=".mkv")
    require_pixel_format(settings)
    with atomic_path(path) as temporary:
        return _encode(frames, str(temporary), settings, final)


def _encode(
    frames: Iterable[Array], path: str, settings: EncodeSettings, final: EncodeSettings
) -> tuple[int, int, int]:
    import av

    count, size, encoded = 0, (0, 0), 0
    with _quiet(settings), av.open(path, "w", format="nut", options={"fflags": "+bitexact"}) as container:
        stream: VideoStream | None = None
        maker: FrameMaker | None = None
        for image in frames:
            padded = pad_to_even(image, settings.pixel_format)
            if stream is None:
                size = padded.shape[1], padded.shape[0]
                require_size(final, size)
                stream = _add_stream(container, settings, size)
                maker = FrameMaker(settings.pixel_format, settings.colour_tags(size).get("colorspace", BT709))
            elif (padded.shape[1], padded.shape[0]) != size:
                found = f"{image.shape[1]}x{image.shape[0]} at frame {count}"
                raise EncodeSettingsError(settings.codec, f"frames of one size, {size[0]}x{size[1]}", found)
            assert maker is not None
            frame = maker.make(padded)
            frame.pts, frame.time_base = count, 1 / settings.fps
            encoded = write_packets(container, stream.encode(frame), encoded)
            count += 1
        if stream is None:
            raise EncodeSettingsError(settings.codec, "at least one frame to encode", "none")
        write_packets(container, stream.encode(None), encoded)
    return size[0], size[1], count


def write_packets(container: OutputContainer, packets: list[Packet[VideoStream]], place: int) -> int:
    """Writes packets of which the first is the so-manieth in decoding order; gives the next one's place.

    To clips that are shorter than its B-frames' delay x265 gives decoding times out of unset memory (4.2),
    mostly far off, at times a small number after the frame is shown.
    """
    for packet in packets:
        late = packet.dts is not None and packet.pts is not None and packet.dts > packet.pts
        if packet.dts is None or late or abs(packet.dts - place) > _MOST_DELAY:
            packet.dts = place - _MOST_DELAY
        container.mux(packet)
        place += 1
    return place


def _add_stream(container: OutputContainer, settings: EncodeSettings, size: tuple[int, int]) -> VideoStream:
    import av
    from av.codec.context import Flags

    spec = settings.spec
    # A rate that C's 32-bit integers can hold; every rate in use is far below that.
    rate = Fraction(settings.fps).limit_denominator(1_000_000)
    try:
        options = settings.options(size)
        if is_subsampled(settings.pixel_format):
            options["chroma_sample_location"] = "left"
        stream: Any = container.add_stream(spec.encoder, rate=rate, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = settings.pixel_format
        context = stream.codec_context
        context.time_base = 1 / rate
        context.thread_count = spec.threads
        context.thread_type = "FRAME" if spec.encoder == "libx264" else "AUTO"
        context.flags |= Flags.bitexact | Flags.closed_gop | Flags.global_header
        # What `FrameMaker` makes, told to players (ITU-T H.273).
        for name, value in settings.colour_tags(size).items():
            setattr(context, name, value)
        context.open()
    except (av.FFmpegError, ValueError) as error:
        expected = f"settings that {spec.encoder} takes"
        why = getattr(error, "strerror", None) or error
        found = f"{size[0]}x{size[1]} {settings.pixel_format} at {settings.fps} fps ({why})"
        raise EncodeSettingsError(settings.codec, expected, found) from error
    return stream  # type: ignore[no-any-return]


def pad_to_even(image: Array, pixel_format: str) -> Array:
    """Repeats the last column and row until chroma samples cover whole groups of pixels."""
    across, down = subsampling(pixel_format)
    right, below = -image.shape[1] % across, -image.shape[0] % down
    if not right and not below:
        return image
    return np.pad(image, ((0, below), (0, right), (0, 0)), mode="edge")


@contextmanager
def _quiet(settings: EncodeSettings) -> Iterator[None]:
    """SVT-AV1 prints its banner past FFmpeg's log; its own variable is the one way to silence it."""
    if settings.codec == "av1":
        os.environ.setdefault("SVT_LOG", "1")
    yield
