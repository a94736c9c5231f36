"""Rows as they travel: with a checksum over key and row, and looked through before anything believes them.

Whoever may write to a shared place decides what its results are. A row can mislead no further than that: it
is JSON of the few forms that the engine writes, its names are hashes, and objects are compared to theirs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from flowsynth.cache.errors import FormatError
from flowsynth.core.canonical import DIGEST_BYTES, FRAME_DIGEST_BYTES, digest
from flowsynth.core.codec import json_hash, temporal_hash
from flowsynth.core.refs import JsonRef, ObjectRef, Ref, StreamRef, Trace, objects_of

#: What every letter begins with; another number is another program's.
HEAD = b"flowsynth-row/1 "
#: A row is a page of JSON; the largest are those of streams with many thousand chunks.
MOST_BYTES = 256 << 20
_DIGITS, _FRAME_DIGITS = 2 * DIGEST_BYTES, 2 * FRAME_DIGEST_BYTES
_NONSENSE = (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError)
_HEX = frozenset("0123456789abcdef")


def sealed(key: str, row: bytes) -> bytes:
    """A row as it travels."""
    return b"%s%s\n%s" % (HEAD, _seal(key, row), row)


def opened(key: str, letter: bytes) -> bytes:
    """The row out of a letter.

    Raises:
        FormatError: it is damaged, another key's, or no row that this program would write.
    """
    head, _, row = letter.partition(b"\n")
    if not letter.startswith(HEAD) or head[len(HEAD) :] != _seal(key, row):
        raise FormatError("its bytes do not match their checksum")
    objects_in(key, row)
    return row


def _seal(key: str, row: bytes) -> bytes:
    return digest(b"%s\0%s" % (key.encode(), row)).encode()


def objects_in(key: str, row: bytes) -> list[str]:
    """Names of the objects that a row speaks of.

    Raises:
        FormatError: it is none of the rows that the engine writes.
    """
    try:
        if key.startswith("graph:"):
            return _of_keys(json.loads(row))
        return _of_list(json.loads(row)) if row[:1] == b"[" else _of_trace(row)
    except FormatError:
        raise
    except _NONSENSE as error:
        raise FormatError(f"it makes no sense ({type(error).__name__})") from None


def _of_list(data: list[Any]) -> list[str]:
    """A stream's length and rate: ``[frames, rate, notes, samples]``."""
    length, fps, notes, *samples = data
    _require(_is_count(length) and (fps is None or type(fps) is str), "it is no row of a stream")
    _require(type(notes) is list and all(type(note) is str for note in notes), "its notes are no texts")
    _require(len(samples) < 2 and all(map(_is_count, samples)), "it is no row of a stream")
    return []


def _of_keys(data: Any) -> list[str]:
    """The last keys of a graph."""
    texts = type(data) is dict and all(type(key) is str for key in data.values())
    _require(texts, "it is no row of a graph")
    return []


def _of_trace(row: bytes) -> list[str]:
    trace = Trace.from_bytes(row)
    if trace is None or type(trace.seconds) not in (int, float) or not 0 <= trace.seconds < math.inf:
        raise FormatError("it is no trace")
    for ref in trace.outputs.values():
        _CHECKS[type(ref)](ref)
    return [name for ref in trace.outputs.values() for name in objects_of(ref)]


def _json(ref: Any) -> None:
    _require(json_hash(ref.text) == ref.hash, "a value in it is not what its hash says")
    ref.value  # noqa: B018  raises ValueError for what is no JSON


def _object(ref: Any) -> None:
    _require(type(ref.type) is str and _is_name(ref.hash) and _is_count(ref.nbytes), "it names no object")


def _stream(ref: Any) -> None:
    _require(type(ref.type) is str and type(ref.layout) is str and bool(ref.chunks), "it is no stream")
    for chunk in ref.chunks:
        counts = _is_count(chunk.nbytes) and _is_count(chunk.samples)
        _require(counts and all(len(frame) == _FRAME_DIGITS for frame in chunk.frames), "it is no stream")
        name = temporal_hash(ref.type, ref.meta, ref.layout, chunk.frames)
        _require(chunk.object == name, "its frames are not what an object's name says")
    again = StreamRef.of(ref.type, ref.meta, ref.layout, ref.chunks)
    _require(again.hash == ref.hash, "its frames are not what its hash says")
    _require(again.info.length >= 0, "it is no stream")


_CHECKS: dict[type[Ref], Callable[[Any], None]] = {JsonRef: _json, ObjectRef: _object, StreamRef: _stream}


def _is_name(value: Any) -> bool:
    return type(value) is str and len(value) == _DIGITS and _HEX.issuperset(value)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 62


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise FormatError(reason)
