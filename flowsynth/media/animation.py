"""Animated GIF and WebP from lossless segments."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from flowsynth.media.choose import choose_video
from flowsynth.media.codecs import EncodeSettings
from flowsynth.media.errors import EncodeSettingsError
from flowsynth.media.pictures import open_picture
from flowsynth.media.siting import chain
from flowsynth.media.source import open_input

if TYPE_CHECKING:
    from pathlib import Path

    from av.video.frame import VideoFrame


def write_animation(segments: Sequence[str | os.PathLike[str]], path: Path, settings: EncodeSettings) -> int:
    """Encodes lossless segments as one animation that repeats forever; returns the number of frames.

    GIF gets one palette for the whole clip, made from all its frames, and ordered dithering, which
    doesn't shimmer from frame to frame; its times are rounded to 1/100 s without drift.

    Raises:
        EncodeSettingsError: No segment.
    """
    frames = _frames(segments, settings.fps)
    if settings.codec == "gif":
        frames = _with_palette(frames, _palette(_frames(segments, settings.fps)))
    count = _encode(frames, path, settings)
    if settings.codec == "webp" and count > 1:
        _keep_time(path, round(1000 * count / settings.fps))
    return count


def _keep_time(path: Path, milliseconds: int) -> None:
    """Makes an animation of one frame out of a still: libwebp joins equal frames, and of one no time is left.

    The chunks are those of RFC 9649, 2.7.
    """
    data = path.read_bytes()
    chunks = [(kind, data[a:b]) for kind, a, b in _chunks(data)]
    kinds = {kind for kind, _ in chunks}
    if b"ANIM" in kinds:
        return
    picture = next(chunk for kind, chunk in chunks if kind in (b"VP8 ", b"VP8L"))
    alpha = b"".join(chunk for kind, chunk in chunks if kind == b"ALPH")
    flags = 0x02 | 0x10 * (b"ALPH" in kinds or b"VP8L" in kinds)
    with open_picture(path) as opened:
        width, height = opened.size
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    time = min(milliseconds, (1 << 24) - 1).to_bytes(3, "little")
    body = _chunk(b"VP8X", bytes([flags, 0, 0, 0]) + size) + _chunk(b"ANIM", b"\xff\xff\xff\xff\0\0")
    body += _chunk(b"ANMF", bytes(6) + size + time + b"\0" + alpha + picture)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, first and one past the last byte of every chunk of a WebP."""
    at = 12
    while at < len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        yield kind, at, at + 8 + size + size % 2
        at += 8 + size + size % 2


def _frames(segments: Sequence[str | os.PathLike[str]], fps: Fraction) -> Iterator[VideoFrame]:
    count = 0
    for segment in segments:
        with open_input(segment) as container:
            for frame in container.decode(choose_video(container, segment)):
                frame.pts, frame.time_base = count, 1 / fps
                count += 1
                yield frame


def _palette(frames: Iterator[VideoFrame]) -> VideoFrame:
    """256 colours for the whole clip."""
    graph: Any = None
    for frame in frames:
        graph = graph or chain(frame, ("palettegen", "stats_mode=full:reserve_transparent=0"))
        graph.push(frame)
    if graph is None:
        raise EncodeSettingsError("gif", "at least one frame to encode", "none")
    graph.push(None)
    palette: VideoFrame = graph.pull()
    return palette


def _with_palette(frames: Iterator[VideoFrame], palette: VideoFrame) -> Iterator[VideoFrame]:
    """Each frame in the palette's colours (Bayer's ordered dithering)."""
    from av.filter import Graph

    graph: Any = None
    for frame in frames:
        if graph is None:
            graph = Graph()
            graph.threads = 1
            base = frame.time_base
            pictures = graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=base
            )
            colours = graph.add_buffer(width=16, height=16, format=palette.format, time_base=base)
            use = graph.add("paletteuse", "dither=bayer:bayer_scale=3")
            pictures.link_to(use, 0, 0)
            colours.link_to(use, 0, 1)
            use.link_to(graph.add("buffersink"))
            graph.configure()
            palette.pts, palette.time_base = 0, base
            colours.push(palette)
            colours.push(None)
            source = pictures
        source.push(frame)
        yield from _drain(graph)
    if graph is not None:
        source.push(None)
        yield from _drain(graph)


def _drain(graph: Any) -> Iterator[VideoFrame]:
    """Every frame that is ready."""
    import av

    with contextlib.suppress(av.BlockingIOError, av.EOFError):
        while True:
            yield graph.pull()


def _encode(frames: Iterator[VideoFrame], path: Path, settings: EncodeSettings) -> int:
    import av
    from av.codec.context import Flags

    count = 0
    container_options = {"fflags": "+bitexact", "loop": "0"}
    with av.open(str(path), "w", options=container_options) as output:
        stream: Any = None
        for frame in frames:
            if stream is None:
                rate = settings.fps.limit_denominator(1_000_000)
                options = settings.options((frame.width, frame.height))
                stream = output.add_stream(settings.spec.encoder, rate=rate, options=options)
                stream.width, stream.height = frame.width, frame.height
                stream.pix_fmt = settings.pixel_format
                stream.codec_context.time_base = 1 / rate
                stream.codec_context.thread_count = 1
                stream.codec_context.flags |= Flags.bitexact
            frame.pts, frame.time_base = count, 1 / settings.fps
            output.mux(stream.encode(frame))
            count += 1
        if stream is None:
            raise EncodeSettingsError(settings.codec, "at least one frame to encode", "none")
        output.mux(stream.encode(None))
    return count
