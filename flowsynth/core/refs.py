"""What a trace remembers of a result: the value itself when it is small JSON, else where its bytes are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from flowsynth.core.canonical import Json, canonical_json, edge_json, json_text, parsed_json, plain_json
from flowsynth.core.codec import json_hash, temporal_hash
from flowsynth.core.secrets import hidden, hidden_text
from flowsynth.core.streams import StreamInfo


class JsonRef(NamedTuple):
    """A JSON value, kept inline as text: everybody who reads it gets one of his own, the same as a later run.

    Attributes:
        text: the JSON, dicts in their order.
        hash: identity of the text.
    """

    text: str
    hash: str

    @classmethod
    def of(cls, value: object) -> JsonRef:
        """The reference of a JSON value.

        Raises:
            TypeError: it is not JSON.
            ValueError: it holds a NaN or an infinity.
        """
        text = edge_json(value)
        return cls(text, json_hash(text))

    @property
    def value(self) -> Any:
        """The value, made anew at every call."""
        return parsed_json(self.text)


class ObjectRef(NamedTuple):
    """A value in the object store that has no frames.

    Attributes:
        type: the codec's name.
        hash: identity of the content, and name of the object.
        nbytes: bytes of its tensors.
    """

    type: str
    hash: str
    nbytes: int


class ChunkRef(NamedTuple):
    """Some contiguous frames of a stream, as one object.

    Attributes:
        object: name of the object that holds them.
        frames: one hash a frame, in order.
        nbytes: bytes of the tensors.
        samples: samples in these frames, where they are blocks of sound; else 0.
    """

    object: str
    frames: tuple[str, ...]
    nbytes: int
    samples: int = 0


@dataclass(frozen=True, slots=True)
class StreamRef:
    """A value along time: a manifest of chunks.

    Attributes:
        type: the codec's name.
        meta: what all chunks share.
        layout: dtypes and frame shapes, as canonical text.
        chunks: the chunks in order; how they are cut is no part of the identity.
        hash: identity of the whole content.
    """

    type: str
    meta: Mapping[str, Json]
    layout: str
    chunks: tuple[ChunkRef, ...]
    hash: str

    @classmethod
    def of(cls, type_: str, meta: Mapping[str, Json], layout: str, chunks: Sequence[ChunkRef]) -> StreamRef:
        """The manifest of some chunks."""
        frames = [frame for chunk in chunks for frame in chunk.frames]
        return cls(type_, meta, layout, tuple(chunks), temporal_hash(type_, meta, layout, frames))

    @property
    def length(self) -> int:
        """Frames in all."""
        return sum(len(chunk.frames) for chunk in self.chunks)

    @property
    def nbytes(self) -> int:
        """Bytes of all chunks."""
        return sum(chunk.nbytes for chunk in self.chunks)

    @property
    def info(self) -> StreamInfo:
        """Length and rate."""
        fps = self.meta.get("fps")
        samples = sum(chunk.samples for chunk in self.chunks)
        return StreamInfo(self.length, Fraction(fps) if isinstance(fps, str) else None, samples)

    def pieces(self, start: int, stop: int) -> list[tuple[ChunkRef, int, int]]:
        """The chunks that hold frames ``start`` to ``stop``, each with the range inside it."""
        found, offset = [], 0
        for chunk in self.chunks:
            low, high = max(start - offset, 0), min(stop - offset, len(chunk.frames))
            if low < high:
                found.append((chunk, low, high))
            offset += len(chunk.frames)
            if offset >= stop:
                break
        return found


Ref = JsonRef | ObjectRef | StreamRef


def join_streams(parts: Sequence[StreamRef]) -> StreamRef:
    """One manifest out of the manifests of its chunks.

    Raises:
        ValueError: chunks of one stream differ in what they must share.
    """
    first = parts[0]
    for part in parts[1:]:
        if (part.type, part.layout) != (first.type, first.layout) or part.meta != first.meta:
            raise ValueError(
                f"chunks of one stream differ: {first.type} {first.layout} {canonical_json(dict(first.meta))}"
                f" and {part.type} {part.layout} {canonical_json(dict(part.meta))}"
            )
    if len(parts) == 1:
        return first
    return StreamRef.of(first.type, first.meta, first.layout, [c for part in parts for c in part.chunks])


def objects_of(ref: Ref) -> list[str]:
    """Names of the objects that a reference needs."""
    if isinstance(ref, ObjectRef):
        return [ref.hash]
    return [chunk.object for chunk in ref.chunks] if isinstance(ref, StreamRef) else []


def ref_bytes(ref: Ref) -> int:
    """Bytes of a reference's tensors; JSON counts as none."""
    return 0 if isinstance(ref, JsonRef) else ref.nbytes


def ref_to_json(ref: Ref) -> Json:
    """A reference as JSON."""
    if isinstance(ref, JsonRef):
        return ["j", ref.text, ref.hash]
    if isinstance(ref, ObjectRef):
        return ["o", ref.type, ref.hash, ref.nbytes]
    chunks: list[Json] = [
        [c.object, "".join(c.frames), len(c.frames), c.nbytes, *([c.samples] if c.samples else [])]
        for c in ref.chunks
    ]
    return ["s", ref.type, dict(ref.meta), ref.layout, chunks, ref.hash]


def _ref_text(ref: Ref) -> str:
    """A reference as the text of its JSON."""
    if isinstance(ref, JsonRef):
        return f'["j",{json_text(ref.text)},{json_text(ref.hash)}]'
    return plain_json(ref_to_json(ref))


def ref_from_json(data: Any) -> Ref:
    """The reference back from what `ref_to_json` made."""
    if data[0] == "j":
        return JsonRef(str(data[1]), data[2])
    if data[0] == "o":
        return ObjectRef(data[1], data[2], data[3])
    chunks = []
    for name, text, count, nbytes, *samples in data[4]:
        size = len(text) // count if count else 0
        frames = tuple(text[i * size : (i + 1) * size] for i in range(count))
        chunks.append(ChunkRef(name, frames, nbytes, *samples))
    return StreamRef(data[1], data[2], data[3], tuple(chunks), data[5])


class Trace(NamedTuple):
    """One row of the cache's index.

    Attributes:
        outputs: output port -> reference.
        seconds: what computing it cost.
        why: the parts of the key as JSON, for `explain`; read only when somebody asks.
        notes: what the operator wanted said: a hit says it again.
    """

    outputs: Mapping[str, Ref]
    seconds: float
    why: str = "{}"
    notes: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """The row: a line of JSON with the outputs, and a line with the parts of the key."""
        outputs = ",".join([f"{json_text(p)}:{_ref_text(self.outputs[p])}" for p in sorted(self.outputs)])
        notes = f'"n":{plain_json(hidden(self.notes))},' if self.notes else ""
        row = f'{{{notes}"out":{{{outputs}}},"s":{round(self.seconds, 6)!r}}}\n{hidden_text(self.why)}'
        return row.encode("utf-8", "surrogatepass")

    @classmethod
    def from_bytes(cls, row: bytes) -> Trace | None:
        """The row back; None for one that another version wrote or that is damaged (a miss)."""
        try:
            head, _, why = row.decode("utf-8", "surrogatepass").partition("\n")
            data = parsed_json(head)
            outputs = {p: ref_from_json(r) for p, r in data["out"].items()}
            notes = tuple(map(str, data["n"])) if "n" in data else ()
            return cls(outputs, data["s"], why, notes)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            return None

    def reasons(self) -> dict[str, Any]:
        """The parts of the key: operator, version, source, params, files, models, numerics, inputs."""
        try:
            parts = json.loads(self.why)
        except ValueError:
            return {}
        return parts if isinstance(parts, dict) else {}
