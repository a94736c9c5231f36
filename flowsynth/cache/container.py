"""The file of one object: plain safetensors, with a checksum in it and every tensor on a 64-byte boundary.

Layout::

    8 bytes   length of the header, little-endian
    header    {"__metadata__":{"xxh3":"<16 digits>", ...}, "<tensor>": {...}, ...} padded with spaces
    data      the tensors, gaps filled by tensors named ".pad<n>" (safetensors allows no holes)

Tensors that are coded (:mod:`flowsynth.cache.coding`) lie there as flat ones of bytes; then the format is 2
and the metadata says how.

The checksum is xxh3-64 over the whole file with its own 16 digits as zeros, so no byte can flip unseen.
Kernels choose other code paths for unaligned memory and round differently there, hence the boundaries: a
mapped tensor behaves as a fresh one.
Format: https://huggingface.co/docs/safetensors/index#format
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from xxhash import xxh3_64

from flowsynth.cache.coding import ALIGN, Coding, unpack
from flowsynth.cache.errors import FormatError
from flowsynth.core.canonical import plain_json
from flowsynth.core.codec import Buffer, Encoded, tensor_bytes

#: First row of a tensor and one past the last.
Rows: TypeAlias = tuple[int, int]
#: Headers hold JSON only; more than this is an attack, not a value.
MAX_HEADER = 64 << 20
#: Raw tensors only, and some coded.
FORMAT, CODED = "1", "2"
_quote = json.JSONEncoder().encode
_PREFIX = b'{"__metadata__":{"xxh3":"'
_ZEROS = b"0" * 16
_START = f'{_PREFIX.decode()}{_ZEROS.decode()}","format":"'
#: Where the checksum's digits start in the file.
DIGEST_AT = 8 + len(_PREFIX)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,199}")
_PAD = ".pad"
_FIELDS = ("xxh3", "format", "key", "codec", "version", "seconds", "meta")
#: What the metadata holds -> the format that says so.
_SHAPES = {_FIELDS: FORMAT, (*_FIELDS, "coding"): CODED}
_PLAIN: Mapping[str, Coding] = {}


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A value as it lies in the store.

    Attributes:
        codec_name: which value type decodes it.
        codec_version: the version of that codec that wrote it.
        encoded: its JSON and tensors; the tensors are views of a mapped file, or decoded from one.
        start: rows at the beginning of every tensor that were left out, as they were not asked for.
    """

    codec_name: str
    codec_version: int
    encoded: Encoded
    start: int = 0


@dataclass(frozen=True, slots=True)
class Header:
    """A checked header: nothing in it points outside the file."""

    key: str
    codec_name: str
    codec_version: int
    seconds: float
    meta: dict[str, Any]
    tensors: dict[str, tuple[str, tuple[int, ...], int, int]]
    codings: dict[str, Coding]


def build_header(
    key: str,
    codec_name: str,
    codec_version: int,
    encoded: Encoded,
    seconds: float,
    codings: Mapping[str, Coding] = _PLAIN,
) -> tuple[bytes, list[memoryview | bytes]]:
    """The header with a zero checksum, and the pieces of data that follow it, in order.

    Args:
        key: the object's name: letters, digits, ``_`` and ``-`` only.
        codec_name: which value type it is.
        codec_version: version of that type's codec.
        encoded: the value, whose ``meta`` is JSON (its key was made from it).
        seconds: what it cost to compute.
        codings: how those tensors are coded that are.

    Raises:
        ValueError: a name that cannot be stored.
    """
    tensors = encoded.tensors
    names = sorted(tensors)
    codec, layout, gaps = _template(
        codec_name, codec_version, tuple([(name, tensors[name].dtype, tensors[name].shape) for name in names])
    )
    pieces: list[memoryview | bytes] = []
    for name, gap in zip(names, gaps, strict=True):
        if gap:
            pieces.append(gap)
        pieces.append(tensors[name].data)
    meta = _quote(plain_json(encoded.meta))
    form, more = FORMAT, ""
    if codings:
        form = CODED
        more = f',"coding":{_quote(plain_json({n: c.to_json() for n, c in codings.items()}))}'
    text = f'{_START}{form}","key":"{key}{codec}{seconds:.6g}","meta":{meta}{more}{layout}'.encode("ascii")
    size = len(text) + -(8 + len(text)) % ALIGN
    return size.to_bytes(8, "little") + text.ljust(size), pieces


@lru_cache(maxsize=256)
def _template(
    codec_name: str, codec_version: int, tensors: tuple[tuple[str, str, tuple[int, ...]], ...]
) -> tuple[str, str, list[bytes]]:
    """What the headers of one stream's chunks share: codec, lines of the tensors, the gap before each.

    Written by hand: the general encoder took as long as the write of the header.
    """
    lines: list[str] = []
    gaps: list[bytes] = []
    offset = 0
    for name, dtype, shape in tensors:
        if not _NAME.fullmatch(name) or name == "__metadata__":
            raise ValueError(f"{name!r} cannot name a stored tensor: letters, digits, _ - . only")
        gap = -offset % ALIGN
        gaps.append(bytes(gap))
        if gap:
            lines.append(_line(f"{_PAD}{len(lines)}", "U8", (gap,), offset, offset + gap))
            offset += gap
        stop = offset + tensor_bytes(dtype, shape)
        lines.append(_line(name, dtype, shape, offset, stop))
        offset = stop
    codec = f'","codec":{_quote(codec_name)},"version":"{codec_version}","seconds":"'
    return codec, f"}}{''.join(lines)}}}", gaps


def _line(name: str, dtype: str, shape: tuple[int, ...], start: int, stop: int) -> str:
    sizes = ",".join(map(str, shape))
    return f',"{name}":{{"dtype":"{dtype}","shape":[{sizes}],"data_offsets":[{start},{stop}]}}'


def with_checksum(header: bytes, digest: bytes) -> bytes:
    """The header with its zeros replaced by a checksum's 16 digits."""
    return header[:DIGEST_AT] + digest + header[DIGEST_AT + len(digest) :]


def checksum(view: memoryview) -> bytes:
    """The 16 digits a file should carry: xxh3-64 with the digits themselves as zeros."""
    hasher = xxh3_64(view[:DIGEST_AT])
    hasher.update(_ZEROS)
    hasher.update(view[DIGEST_AT + len(_ZEROS) :])
    return hasher.hexdigest().encode()


def verify(view: memoryview) -> None:
    """Check every byte of a file against its checksum.

    Raises:
        FormatError: they differ.
    """
    if bytes(view[DIGEST_AT : DIGEST_AT + len(_ZEROS)]) != checksum(view):
        raise FormatError("its bytes do not match their checksum")


def header_length(start: bytes | memoryview, size: int) -> int:
    """Bytes of the header, length field included, from the first bytes of a file of ``size`` bytes.

    Raises:
        FormatError: no such header fits.
    """
    if size < DIGEST_AT + len(_ZEROS) or bytes(start[8:DIGEST_AT]) != _PREFIX:
        raise FormatError("it is cut short or no object of this cache")
    length = 8 + int(struct.unpack_from("<Q", start)[0])
    if length > min(size, MAX_HEADER):
        raise FormatError(f"its header claims {length:,} bytes of a file of {size:,}")
    return length


def parse_header(text: bytes | memoryview, data_bytes: int) -> Header:
    """Read the JSON of a header and check every number in it.

    Args:
        text: the JSON, without the length field.
        data_bytes: bytes in the file after the header.

    Raises:
        FormatError: anything that a file of ours would not say.
    """
    try:
        document = json.loads(bytes(text))
        fields = document.pop("__metadata__")
        if not isinstance(fields, dict) or _SHAPES.get(tuple(fields)) != fields["format"]:
            raise FormatError("its metadata is of another format")
        meta = json.loads(fields["meta"])
        seconds = float(fields["seconds"])
        if not isinstance(meta, dict) or not 0 <= seconds < float("inf"):
            raise FormatError("its metadata makes no sense")
        tensors = _tensors(document, data_bytes)
        codings = _codings(fields.get("coding", "{}"), tensors)
        return Header(fields["key"], fields["codec"], int(fields["version"]), seconds, meta, tensors, codings)
    except FormatError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, MemoryError) as error:
        raise FormatError(f"its header makes no sense ({type(error).__name__})") from None


def _tensors(
    document: Mapping[str, Any], data_bytes: int
) -> dict[str, tuple[str, tuple[int, ...], int, int]]:
    """Check that the tensors tile the data: no hole, no overlap, nothing left over."""
    found: dict[str, tuple[str, tuple[int, ...], int, int]] = {}
    at = 0
    for name, entry in document.items():
        dtype, shape = entry["dtype"], tuple(entry["shape"])
        start, stop = entry["data_offsets"]
        if not all(type(n) is int and n >= 0 for n in (*shape, start, stop)):
            raise FormatError("a size in its header is no count")
        if start != at or stop - start != tensor_bytes(dtype, shape):
            raise FormatError("the tensors in its header do not fit together")
        at = stop
        if not name.startswith(_PAD):
            if not _NAME.fullmatch(name):
                raise FormatError("a tensor in its header has no proper name")
            found[name] = (dtype, shape, start, stop)
    if at != data_bytes:
        raise FormatError(f"it holds {data_bytes:,} bytes of data where its header says {at:,}")
    return found


def _codings(text: str, tensors: Mapping[str, tuple[str, tuple[int, ...], int, int]]) -> dict[str, Coding]:
    """How the coded ones of some tensors are coded."""
    found: dict[str, Coding] = {}
    for name, data in json.loads(text).items():
        dtype, _, start, stop = tensors[name]
        if dtype != "U8":
            raise FormatError("a coded tensor in its header is none of bytes")
        found[name] = Coding.from_json(data, stop - start)
    return found


def open_header(view: memoryview, key: str, check: bool) -> tuple[Header, memoryview]:
    """Read the header of an object from the bytes of its file; also gives the bytes that follow it.

    Args:
        view: the file, mapped.
        key: the name it was asked for by.
        check: whether to compare all bytes with the checksum too.

    Raises:
        FormatError: it is damaged, or it is another object under this name.
    """
    length = header_length(view[:DIGEST_AT], view.nbytes)
    header = parse_header(view[8:length], view.nbytes - length)  # first: it says how long the file may be
    if check:
        verify(view)
    if header.key != key:
        raise FormatError("it is another object under this name")
    return header, view[length:]


def open_tensors(header: Header, data: memoryview, rows: Rows | None = None) -> StoredObject:
    """The value, without copying what is not coded.

    Args:
        header: of the file.
        data: what follows it.
        rows: first row and one past the last that are needed: of a coded value others may be left out.

    Raises:
        FormatError: something coded is not what was written.
    """
    if rows is None or not header.codings or any(not _has(header, name, rows) for name in header.tensors):
        rows = None
    tensors: dict[str, Buffer] = {}
    for name, (dtype, shape, start, stop) in header.tensors.items():
        coding = header.codings.get(name)
        if coding is None:
            tensors[name] = Buffer(dtype, shape, data[start:stop])
        else:
            tensors[name] = unpack(coding, data[start:stop], *(rows or (0, coding.kind.shape[0])))
    encoded = Encoded(header.meta, tensors)
    return StoredObject(header.codec_name, header.codec_version, encoded, rows[0] if rows else 0)


def open_view(view: memoryview, key: str, check: bool) -> StoredObject:
    """The value of an object from the bytes of its file: see `open_header` and `open_tensors`.

    Raises:
        FormatError: it is damaged, or it is another object under this name.
    """
    return open_tensors(*open_header(view, key, check))


def _has(header: Header, name: str, rows: Rows) -> bool:
    coding = header.codings.get(name)
    return coding is not None and 0 <= rows[0] <= rows[1] <= coding.kind.shape[0]
