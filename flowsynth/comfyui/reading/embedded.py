"""Workflows inside the pictures and clips that ComfyUI saves.

| format | place | keys |
|---|---|---|
| PNG | tEXt and iTXt chunks | ``prompt`` (API format), ``workflow`` (the editor's) |
| WebP | EXIF: the texts of the tags Make and Model | ``prompt:...``, ``workflow:...`` |
| MP4, WebM, MKV, MOV | the tag ``comment``, or tags of these names | a mapping of both, or each |
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from flowsynth.comfyui.reading.errors import WorkflowFileError

_PNG = b"\x89PNG\r\n\x1a\n"
#: What ComfyUI calls its two texts, the one that it runs first.
NAMES = ("prompt", "workflow")
#: A longer text is taken for a damaged or hostile length.
_LONGEST = 64 << 20


def is_media(head: bytes) -> bool:
    """Whether a file that begins so can hold a workflow beside pictures."""
    is_webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    is_clip = head[4:8] == b"ftyp" or head[:4] == b"\x1a\x45\xdf\xa3"
    return head.startswith(_PNG) or is_webp or is_clip


def embedded_texts(file: Path, data: bytes) -> dict[str, str]:
    """The texts inside a picture or clip by their names, those of :data:`NAMES` and others.

    Raises:
        WorkflowFileError: the file ends before it is complete, or is damaged.
    """
    try:
        if data.startswith(_PNG):
            return dict(_png_texts(data))
        if data[:4] == b"RIFF":
            return dict(_webp_texts(data))
    except (struct.error, zlib.error, ValueError, IndexError) as error:
        raise WorkflowFileError(file, f"a picture that is cut off or damaged ({error})") from None
    return _clip_texts(file)


def _png_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """tEXt, zTXt and iTXt chunks (PNG, third edition, 11.3.3)."""
    at = len(_PNG)
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        payload = data[at + 8 : at + 8 + length]
        if len(payload) < length:
            raise ValueError(f"its chunk {kind.decode('latin-1')} ends early")
        name, _, rest = payload.partition(b"\0")
        if kind == b"tEXt":
            yield name.decode("latin-1"), _decoded(rest)
        elif kind == b"zTXt":
            yield name.decode("latin-1"), _decoded(_inflated(rest[1:]))
        elif kind == b"iTXt":
            text = rest[2:].split(b"\0", 2)[2]
            yield name.decode("latin-1"), _decoded(_inflated(text) if rest[0] else text)
        at += 12 + length


def _inflated(data: bytes) -> bytes:
    stream = zlib.decompressobj()
    raw = stream.decompress(data, _LONGEST)
    if not stream.eof:
        raise ValueError("a text that is cut off or too long")
    return raw


def _decoded(raw: bytes) -> str:
    """Latin-1 by the standard, UTF-8 by most programs."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _webp_texts(data: bytes) -> Iterator[tuple[str, str]]:
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        payload = data[at + 8 : at + 8 + length]
        if len(payload) < length:
            raise ValueError(f"its chunk {kind.decode('latin-1').strip()} ends early")
        if kind == b"EXIF":
            yield from _exif_texts(payload.removeprefix(b"Exif\0\0"))
        at += 8 + length + length % 2


def _exif_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """The texts of a TIFF's first directory (TIFF 6.0, section 2), split at their first colon."""
    order = "<" if data[:2] == b"II" else ">"
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    for k in range(count):
        _tag, kind, length, value = struct.unpack_from(f"{order}HHII", data, start + 2 + 12 * k)
        if kind != 2 or length <= 4:
            continue
        name, colon, text = _decoded(data[value : value + length].rstrip(b"\0")).partition(":")
        if colon:
            yield name.lower(), text


def _clip_texts(file: Path) -> dict[str, str]:
    from flowsynth.media.errors import MediaError
    from flowsynth.media.source import open_input

    try:
        with open_input(file) as container:
            tags = {name.lower(): text for name, text in container.metadata.items()}
    except MediaError as error:
        raise WorkflowFileError(file, f"a clip that cannot be read ({error})") from None
    try:
        inside = json.loads(tags.get("comment", ""))
    except ValueError:
        return tags
    if not isinstance(inside, dict):
        return tags
    texts = {name: v if isinstance(v, str) else json.dumps(v) for name, v in inside.items()}
    return {**tags, **texts}
