"""The places for text inside PNG, JPEG, GIF and WebP files, by their specifications."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from xml.sax.saxutils import escape, unescape

_MARK = b"flowsynth"
_PNG_START = b"\x89PNG\r\n\x1a\n"
#: A longer text is taken for a damaged or hostile length.
_LONGEST = 64 << 20


@dataclass(frozen=True)
class PictureFormat:
    """How one format keeps a text: `embed` gives the file with it, `read` the text."""

    embed: Callable[[bytes, str], bytes]
    read: Callable[[bytes], str]


def picture_format(head: bytes) -> PictureFormat | None:
    """Tells a file's format from its first 16 bytes; None for one that is no such picture."""
    if head.startswith(_PNG_START):
        return PictureFormat(_png_embed, _png_read)
    if head.startswith(b"\xff\xd8\xff"):
        return PictureFormat(_jpeg_embed, _jpeg_read)
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return PictureFormat(_gif_embed, _gif_read)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return PictureFormat(_webp_embed, _webp_read)
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
    payload = b"iTXt" + _MARK + b"\0\1\0\0\0" + _deflated(text)
    chunk = struct.pack(">I", len(payload) - 4) + payload + struct.pack(">I", zlib.crc32(payload))
    return _PNG_START + kept[0][1] + chunk + b"".join(part for _, part in kept[1:])


@lru_cache(maxsize=2)
def _deflated(text: str) -> bytes:
    """Pictures of a series hold one text. Level 9 takes twice as long, for half a percent less."""
    return zlib.compress(text.encode(), 6)


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
