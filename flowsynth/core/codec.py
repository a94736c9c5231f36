"""How a value becomes bytes and back, without the core knowing what a tensor is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, ClassVar, Protocol, runtime_checkable

from flowsynth.core.canonical import Json, canonical_json, digest_parts, digest_text, frame_digest

#: Bytes of one element, by safetensors' names of dtypes.
DTYPE_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
    "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8,
}  # fmt: skip


def tensor_bytes(dtype: str, shape: Sequence[int]) -> int:
    """What a tensor takes, in bytes."""
    return DTYPE_BYTES[dtype] * prod(shape)


@dataclass(frozen=True, slots=True)
class Buffer:
    """The raw bytes of one tensor, little-endian, C order.

    Attributes:
        dtype: safetensors' name of the dtype, such as ``F32`` or ``U8``.
        shape: sizes of the axes; ``()`` for a scalar.
        data: the bytes, as a flat memoryview of format ``B``; never copied on the way to disk.
    """

    dtype: str
    shape: tuple[int, ...]
    data: memoryview

    def __post_init__(self) -> None:
        """Refuse bytes that do not fill the shape."""
        expected = tensor_bytes(self.dtype, self.shape)
        if self.data.nbytes != expected:
            raise ValueError(
                f"{self.dtype}{list(self.shape)} takes {expected} bytes, given {self.data.nbytes}"
            )


@dataclass(frozen=True, slots=True)
class Encoded:
    """A value as JSON and tensors: what the object store writes and maps back.

    Attributes:
        meta: everything about the value that is not a tensor; for a temporal value, the same for
            every chunk of one stream.
        tensors: name -> bytes; for a temporal value every tensor has the frames as its first axis.
    """

    meta: Mapping[str, Json]
    tensors: Mapping[str, Buffer] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes of the tensors together."""
        return sum(buffer.data.nbytes for buffer in self.tensors.values())


@runtime_checkable
class Value(Protocol):
    """What may travel on an edge besides JSON: a frozen object with a codec of its own.

    A codec's name and version are written beside the bytes; a file of another version reads as a miss.
    """

    codec_name: ClassVar[str]
    codec_version: ClassVar[int]

    def encode(self) -> Encoded:
        """The value as JSON and tensors."""
        ...

    @classmethod
    def decode(cls, encoded: Encoded) -> Any:
        """The value back; tensors may stay views of a mapped file and must not be written to."""
        ...


@runtime_checkable
class Temporal(Value, Protocol):
    """A value along time: frames on the first axis of every tensor, so it can be cut and joined."""

    @property
    def num_frames(self) -> int:
        """How many frames."""
        ...

    def slice(self, start: int, stop: int) -> Any:
        """Frames ``start`` to ``stop`` (exclusive), without copying where possible."""
        ...

    @classmethod
    def concat(cls, parts: Sequence[Any]) -> Any:
        """The parts one after another; they share their meta. May stay lazy."""
        ...


_TYPES: dict[str, type[Value]] = {}


def register_value(cls: type[Any]) -> type[Any]:
    """Class decorator: make a value type known to the cache by its ``codec_name``.

    Raises:
        ValueError: the name is taken by another class.
    """
    known = _TYPES.setdefault(cls.codec_name, cls)
    if known is not cls and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(f"value type {cls.codec_name!r} is registered twice: {known} and {cls}")
    _TYPES[cls.codec_name] = cls
    return cls


def value_type(codec_name: str) -> type[Value]:
    """The class registered under a name.

    Raises:
        KeyError: no such value type here (its plug-in is not installed).
    """
    return _TYPES[codec_name]


def value_types() -> dict[str, type[Value]]:
    """All registered value types by name."""
    return dict(_TYPES)


def is_temporal(cls: type[Any]) -> bool:
    """Whether values of a class can be cut along time."""
    return all(hasattr(cls, name) for name in ("num_frames", "slice", "concat"))


def frame_hashes(encoded: Encoded) -> list[str]:
    """One hash a frame, over the bytes of that frame in every tensor, in order of their names."""
    buffers = [encoded.tensors[name] for name in sorted(encoded.tensors)]
    count = buffers[0].shape[0] if buffers else 0
    strides = [buffer.data.nbytes // count if count else 0 for buffer in buffers]
    return [
        frame_digest(
            buffer.data[i * stride : (i + 1) * stride]
            for buffer, stride in zip(buffers, strides, strict=True)
        )
        for i in range(count)
    ]


def layout(encoded: Encoded) -> str:
    """Canonical text of the dtypes and per-frame shapes: part of a temporal value's identity."""
    return canonical_json({name: [b.dtype, list(b.shape[1:])] for name, b in encoded.tensors.items()})


def temporal_hash(codec_name: str, meta: Mapping[str, Json], frame_layout: str, hashes: Sequence[str]) -> str:
    """Identity of a run of frames: a hash over the frames' hashes, so how it was cut does not matter."""
    return digest_parts([codec_name, canonical_json(dict(meta)), frame_layout, "".join(hashes)])


def content_hash(codec_name: str, encoded: Encoded) -> str:
    """Identity of a value that has no frames: type, dtypes, shapes, meta and raw bytes."""
    parts = [codec_name, canonical_json(dict(encoded.meta))]
    for name in sorted(encoded.tensors):
        buffer = encoded.tensors[name]
        parts += [name, buffer.dtype, canonical_json(list(buffer.shape)), frame_digest([buffer.data])]
    return digest_parts(parts)


def json_hash(text: str) -> str:
    """Identity of a JSON value that lives inside its trace, by its text (`edge_json`)."""
    return digest_text("json:" + text)
