"""A text kept inside picture and video files, in each format's own place for text.

| format | place |
|---|---|
| PNG | iTXt chunk, keyword ``flowsynth``, deflated |
| JPEG | COM segments, numbered (a segment holds 64 kB) |
| GIF | comment extension |
| WebP | XMP chunk |
| MP4, MOV, Matroska, WebM, AVI | the ``comment`` tag |
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape, unescape

from flowsynth.media.atomic import atomic_path
from flowsynth.media.codecs import container_options, copy_stream
from flowsynth.media.errors import MediaError, NotMediaError, require_file

_MARK = b"flowsynth"
_PNG_START = b"\x89PNG\r\n\x1a\n"
#: Texts longer than this are refused when they are read: a damaged or hostile length.
_LONGEST = 64 << 20


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
        picture = _picture_format(opened.read(16))
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
    picture = _picture_format(data[:16])
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
        picture = _picture_format(opened.read(16))
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


@dataclass(frozen=True)
class _Format:
    embed: Callable[[bytes, str], bytes]
    read: Callable[[bytes], str]


def _picture_format(head: bytes) -> _Format | None:
    if head.startswith(_PNG_START):
        return _Format(_png_embed, _png_read)
    if head.startswith(b"\xff\xd8\xff"):
        return _Format(_jpeg_embed, _jpeg_read)
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return _Format(_gif_embed, _gif_read)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _Format(_webp_embed, _webp_read)
    return None


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes, int, int]]:
    """Kind, payload, first and one past the last byte of every chunk."""
    at = len(_PNG_START)
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at + 8 : at + 8 + length], at, at + 12 + length
        at += 12 + length


def _png_is_ours(kind: bytes, payload: bytes) -> bool:
    return kind == b"iTXt" and payload.startswith(_MARK + b"\0")


def _png_embed(data: bytes, text: str) -> bytes:
    kept = [(kind, data[a:b]) for kind, payload, a, b in _png_chunks(data) if not _png_is_ours(kind, payload)]
    # Keyword, deflated, method 0, no language, no translated keyword (PNG, third edition, 11.3.3.4).
    payload = b"iTXt" + _MARK + b"\0\1\0\0\0" + zlib.compress(text.encode(), 9)
    chunk = struct.pack(">I", len(payload) - 4) + payload + struct.pack(">I", zlib.crc32(payload))
    return _PNG_START + kept[0][1] + chunk + b"".join(part for _, part in kept[1:])


def _png_read(data: bytes) -> str:
    for kind, payload, _, _ in _png_chunks(data):
        if _png_is_ours(kind, payload):
            stream = zlib.decompressobj()
            raw = stream.decompress(payload[len(_MARK) + 5 :], _LONGEST)
            if not stream.eof:
                raise zlib.error("text cut off or too long")
            return raw.decode()
        if kind == b"IDAT":
            break
    return ""


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes, int, int]]:
    """Marker, payload, first and one past the last byte of every segment before the picture."""
    at = 2
    while data[at] == 0xFF and data[at + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", data, at + 2)
        yield data[at + 1], data[at + 4 : at + 2 + length], at, at + 2 + length
        at += 2 + length


def _jpeg_embed(data: bytes, text: str) -> bytes:
    head, end = b"", 2
    for marker, payload, a, b in _jpeg_segments(data):
        end = b
        if not (marker == 0xFE and payload.startswith(_MARK)):
            head += data[a:b]
    raw = text.encode()
    parts = [raw[i : i + 65_000] for i in range(0, len(raw), 65_000)] or [b""]
    marked = [_MARK + b" %d/%d\0" % (k + 1, len(parts)) + part for k, part in enumerate(parts)]
    comments = b"".join(b"\xff\xfe" + struct.pack(">H", len(part) + 2) + part for part in marked)
    # After JFIF and EXIF, which want to be first.
    return data[:2] + head + comments + data[end:]


def _jpeg_read(data: bytes) -> str:
    ours = [p for marker, p, _, _ in _jpeg_segments(data) if marker == 0xFE and p.startswith(_MARK)]
    return b"".join(payload.partition(b"\0")[2] for payload in ours).decode()


def _gif_blocks(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Label, first and one past the last byte of every extension before the first picture."""
    flags = data[10]
    at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    while data[at] == 0x21:
        begin, label, at = at, data[at + 1], at + 2
        while data[at]:
            at += data[at] + 1
        at += 1
        yield label, begin, at


def _gif_content(data: bytes, begin: int, end: int) -> bytes:
    at, content = begin + 2, b""
    while at < end - 1:
        content += data[at + 1 : at + 1 + data[at]]
        at += data[at] + 1
    return content


def _gif_is_ours(data: bytes, label: int, begin: int, end: int) -> bool:
    return label == 0xFE and _gif_content(data, begin, min(end, begin + 300)).startswith(_MARK)


def _gif_embed(data: bytes, text: str) -> bytes:
    blocks = list(_gif_blocks(data))
    start = blocks[0][1] if blocks else 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    # A picture's own control block must stay next to it: the comment goes before the first of them.
    loop = [data[a:b] for label, a, b in blocks if label == 0xFF]
    rest = [data[a:b] for label, a, b in blocks if label != 0xFF and not _gif_is_ours(data, label, a, b)]
    raw = _MARK + b"\0" + text.encode()
    lines = b"".join(bytes([len(raw[i : i + 255])]) + raw[i : i + 255] for i in range(0, len(raw), 255))
    comment = b"\x21\xfe" + lines + b"\0"
    end = blocks[-1][2] if blocks else start
    return b"GIF89a" + data[6:start] + b"".join(loop) + comment + b"".join(rest) + data[end:]


def _gif_read(data: bytes) -> str:
    for label, begin, end in _gif_blocks(data):
        if _gif_is_ours(data, label, begin, end):
            pieces, at = [], begin + 2
            while data[at]:
                pieces.append(data[at + 1 : at + 1 + data[at]])
                at += data[at] + 1
            return b"".join(pieces).partition(b"\0")[2].decode()
    return ""


_XMP_OPEN = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:f="urn:flowsynth"><f:provenance>'
)
_XMP_CLOSE = "</f:provenance></rdf:Description></rdf:RDF></x:xmpmeta>"


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        yield kind, data[at + 8 : at + 8 + length]
        at += 8 + length + (length & 1)


def _webp_header(kind: bytes, payload: bytes) -> bytearray:
    """VP8X, which a file with metadata starts with, for a file that has none yet (RFC 9649, 2.7)."""
    if kind == b"VP8X":
        return bytearray(payload)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", payload, 1)
        width, height, alpha = bits & 0x3FFF, bits >> 14 & 0x3FFF, bool(bits >> 28 & 1)
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", payload, 6))
        width, height, alpha = width - 1, height - 1, False
    sizes = int(width).to_bytes(3, "little") + int(height).to_bytes(3, "little")
    return bytearray(bytes([0x10 if alpha else 0, 0, 0, 0]) + sizes)


def _webp_embed(data: bytes, text: str) -> bytes:
    chunks = list(_webp_chunks(data))
    header = _webp_header(*chunks[0])
    header[0] |= 0x04
    xmp = (_XMP_OPEN + escape(text) + _XMP_CLOSE).encode()
    kept = [chunk for chunk in chunks if chunk[0] not in (b"VP8X", b"XMP ")]
    body = b"WEBP"
    for kind, payload in [(b"VP8X", bytes(header)), *kept, (b"XMP ", xmp)]:
        body += kind + struct.pack("<I", len(payload)) + payload + b"\0" * (len(payload) & 1)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _webp_read(data: bytes) -> str:
    for kind, payload in _webp_chunks(data):
        if kind == b"XMP " and _XMP_OPEN.encode() in payload:
            return unescape(payload.decode().partition(_XMP_OPEN)[2].rpartition(_XMP_CLOSE)[0])
    return ""


def _remux(source: str | os.PathLike[str], target: str, text: str) -> None:
    """Copies every stream's packets into a new file of the same kind, with the text as its comment."""
    import av

    from flowsynth.media.source import open_input, read_packets

    suffix = os.path.splitext(target)[1].lower()  # noqa: PTH122  a name, not a file
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
