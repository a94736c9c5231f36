"""Tensors to raw bytes and back without a copy, and the plainest value: named tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

from flowsynth.core.canonical import Json, json_copy
from flowsynth.core.codec import Buffer, Encoded, register_value

if TYPE_CHECKING:
    import torch

_TORCH_NAMES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "F16": "float16",
    "BF16": "bfloat16", "U32": "uint32", "I32": "int32", "F32": "float32", "U64": "uint64",
    "I64": "int64", "F64": "float64",
}  # fmt: skip
_BUFFER_NAMES = {name: key for key, name in _TORCH_NAMES.items()}


def to_buffer(tensor: torch.Tensor) -> Buffer:
    """The bytes of a tensor of any device; a CPU tensor in C order is not copied."""
    import torch

    flat = tensor.detach().cpu().contiguous()
    name = _BUFFER_NAMES.get(str(flat.dtype).removeprefix("torch."))
    if name is None:
        raise TypeError(f"a tensor of {flat.dtype} cannot be kept; expected {', '.join(_BUFFER_NAMES)}")
    # A lone number may have any stride and counts as contiguous, but is no view as bytes unless it is 1.
    row = flat.as_strided((flat.numel(),), (1,))
    raw = row.view(torch.uint8) if flat.numel() else flat.new_empty(0, dtype=torch.uint8)
    return Buffer(name, tuple(tensor.shape), memoryview(cast("Any", raw.numpy())).cast("B"))


def from_buffer(buffer: Buffer) -> torch.Tensor:
    """A tensor over the bytes of a buffer. Mapped bytes stay mapped: treat the tensor as read-only."""
    import warnings

    import torch

    dtype = getattr(torch, _TORCH_NAMES[buffer.dtype])
    if not buffer.data.nbytes:
        return torch.empty(buffer.shape, dtype=dtype)
    with warnings.catch_warnings():
        # torch warns that it can't mark the tensor read-only; values are never written to in place.
        warnings.simplefilter("ignore", UserWarning)
        return torch.frombuffer(buffer.data, dtype=dtype).reshape(buffer.shape)


def write_counts(value: Any) -> tuple[int, ...]:
    """How often each tensor of a value was written to in place; torch counts that, not what numpy does."""
    import torch

    if isinstance(value, torch.Tensor):
        return (-1,) if value.is_inference() else (value._version,)
    if isinstance(value, (list, tuple)):
        return tuple(count for part in value for count in write_counts(part))
    if isinstance(value, Mapping):
        return write_counts(tuple(value.values()))
    if not is_dataclass(value) or isinstance(value, type):
        return ()
    return write_counts(tuple(getattr(value, f.name) for f in fields(value)))


def as_loaded(value: Any, *, own: bool) -> Any:
    """A value as it would come from the cache: tensors in C order, and with `own` shared with nobody.

    Args:
        value: a value of an edge, or a part of one.
        own: somebody else holds it too, so what is done to the result in place must not reach it.
    """
    import torch

    if isinstance(value, torch.Tensor):
        if value.is_contiguous() and not value.requires_grad:
            return value.clone() if own else value
        return (
            value.detach().contiguous()
            if not own
            else value.detach().clone(memory_format=torch.contiguous_format)
        )
    if isinstance(value, memoryview):
        return value if value.readonly or not own else memoryview(bytes(value))
    if isinstance(value, (list, tuple)):
        return type(value)(as_loaded(part, own=own) for part in value)
    if isinstance(value, Mapping):
        return {name: as_loaded(part, own=own) for name, part in value.items()}
    if not is_dataclass(value) or isinstance(value, type):
        return value
    held = {f.name: getattr(value, f.name) for f in fields(value) if f.init}
    made = {name: as_loaded(part, own=own) for name, part in held.items()}
    return replace(value, **made) if any(made[name] is not held[name] for name in held) else value


@register_value
@dataclass(frozen=True, slots=True)
class Tensors:
    """Named tensors with JSON beside them: states of scans, and whatever needs no type of its own."""

    codec_name: ClassVar[str] = "tensors"
    codec_version: ClassVar[int] = 1

    tensors: Mapping[str, torch.Tensor]
    meta: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take the form that comes back from the cache, so that no reader can tell."""
        object.__setattr__(self, "tensors", dict(sorted(self.tensors.items())))
        object.__setattr__(self, "meta", json_copy(dict(self.meta)))

    def encode(self) -> Encoded:
        """The value as JSON and bytes."""
        return Encoded(dict(self.meta), {name: to_buffer(t) for name, t in self.tensors.items()})

    @classmethod
    def decode(cls, encoded: Encoded) -> Tensors:
        """The value back from its bytes."""
        return cls({name: from_buffer(b) for name, b in encoded.tensors.items()}, encoded.meta)

    def to(self, device: str) -> Tensors:
        """The same tensors on a device."""
        return Tensors({name: t.to(device) for name, t in self.tensors.items()}, self.meta)


def on_device(value: Any, device: str) -> Any:
    """A value with its tensors on a device; JSON and files are left as they are."""
    if isinstance(value, (list, tuple)):
        return [on_device(part, device) for part in value]
    return value.to(device) if hasattr(value, "codec_name") and hasattr(value, "to") else value
