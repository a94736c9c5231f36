"""A text kept inside picture and video files, in each format's own place for text.

| format | place |
|---|---|
| PNG | iTXt chunk, keyword ``flowsynth``, deflated |
| JPEG | COM segments, numbered (a segment holds 64 kB) |
| GIF | comment extension |
| WebP | XMP chunk |
| MP4, MOV, Matroska, WebM, AVI, WAV | the ``comment`` tag |
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from flowsynth.media.atomic import atomic_path
from flowsynth.media.codecs import container_options, copy_stream
from flowsynth.media.errors import MediaError, NotMediaError, require_file
from flowsynth.media.picture_text import picture_format

#: Videos and sounds whose muxers are trusted with any stream: FFmpeg's for AVIF ends the process.
_WITH_COMMENT = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".wav")


def embed(path: str | os.PathLike[str], text: str) -> None:
    """Puts a text into a file, in place of an older one; atomic, and the picture's own bytes don't change.

    Args:
        path: A PNG, JPEG, GIF or WebP picture, or a video in a container that takes a comment.
        text: The text, usually JSON; a megabyte is fine.

    Raises:
        NotMediaError: The file is of no such format.
        MediaWriteError: The file can't be written.
    """
    file = require_file(path, "a picture or video file")
    with file.open("rb") as opened:
        picture = picture_format(opened.read(16))
    with atomic_path(file) as temporary:
        if picture is None:
            _remux(path, str(temporary), text)
        else:
            with _damage_named(path):
                data = picture.embed(file.read_bytes(), text)
            temporary.write_bytes(data)


def embed_in_picture(data: bytes, text: str) -> bytes:
    """As :func:`embed`, for a picture's bytes.

    Raises:
        NotMediaError: Bytes of another format.
    """
    picture = picture_format(data[:16])
    if picture is None:
        raise NotMediaError("picture", "a PNG, JPEG, GIF or WebP picture", "other bytes")
    with _damage_named("picture"):
        return picture.embed(data, text)


def read_text(path: str | os.PathLike[str]) -> str:
    """Returns the text inside a file, empty if there is none.

    Raises:
        MediaNotFoundError: No such file.
        NotMediaError: Neither a picture nor a video.
    """
    from flowsynth.media.source import open_input

    file = require_file(path, "a picture or video file")
    with file.open("rb") as opened:
        picture = picture_format(opened.read(16))
    if picture is not None:
        with _damage_named(path):
            return picture.read(file.read_bytes())
    with open_input(path) as container:
        return next((value for key, value in container.metadata.items() if key.lower() == "comment"), "")


def read_provenance(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Returns the JSON object inside a file, None if there is none (or a comment of another kind).

    Raises:
        MediaError: As :func:`read_text`.
    """
    text = read_text(path)
    try:
        found = json.loads(text) if text.startswith("{") else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


@contextlib.contextmanager
def _damage_named(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns what a broken structure does to the code below into one message."""
    try:
        yield
    except (struct.error, IndexError, OverflowError, ValueError, zlib.error) as error:
        raise NotMediaError(path, "a whole picture file", f"damaged data ({error})") from error


def _remux(source: str | os.PathLike[str], target: str, text: str) -> None:
    """Copies every stream's packets into a new file of the same kind, with the text as its comment."""
    import av

    from flowsynth.media.source import open_input, read_packets

    suffix = os.path.splitext(target)[1].lower()  # noqa: PTH122  a name, not a file
    if suffix not in _WITH_COMMENT:
        raise NotMediaError(source, f"a file that takes a comment ({', '.join(_WITH_COMMENT)})", suffix)
    decoding = _decoding_times(source)
    with open_input(source) as container:
        try:
            with av.open(target, "w", options=container_options(suffix, True)) as output:
                output.metadata["comment"] = text
                kept = [stream for stream in container.streams if stream.index in decoding]
                streams: dict[int, Any] = {stream.index: copy_stream(output, stream) for stream in kept}
                for packet in read_packets(container, kept, source):
                    if packet.size and packet.stream_index in streams:
                        packet.dts = next(decoding[packet.stream_index])
                        packet.stream = streams[packet.stream_index]
                        output.mux(packet)
        except (av.FFmpegError, ValueError) as error:
            if isinstance(error, OSError):
                raise
            raise MediaError(source, "a container that takes a comment", str(error)) from error


def _decoding_times(source: str | os.PathLike[str]) -> dict[int, Iterator[int]]:
    """Decoding times of every picture and sound packet, in ticks; some containers store none.

    Where one is missing, the presentation times in order serve, set back until none comes too late.
    """
    from flowsynth.media.source import open_input, read_packets

    times: dict[int, list[tuple[int | None, int | None]]] = {}
    with open_input(source) as container:
        kept = [stream for stream in container.streams if stream.type in ("video", "audio")]
        times = {stream.index: [] for stream in kept}
        for packet in read_packets(container, kept, source):
            if packet.size and packet.stream_index in times:
                times[packet.stream_index].append((packet.pts, packet.dts))
    if not any(times.values()):
        raise NotMediaError(source, "a file with pictures or sound", "a container without either")
    return {index: iter(_monotonic(pairs)) for index, pairs in times.items()}


def _monotonic(pairs: list[tuple[int | None, int | None]]) -> list[int]:
    stored = [dts for _, dts in pairs if dts is not None]
    if len(stored) == len(pairs):
        return stored
    shown = [pts if pts is not None else place for place, (pts, _) in enumerate(pairs)]
    ordered = sorted(shown)
    delay = max(decoded - pts for decoded, pts in zip(ordered, shown, strict=True))
    return [tick - delay for tick in ordered]
