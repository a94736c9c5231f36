"""What an order gave: checked against its ports, hashed, and stored where that pays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flowsynth.cache.container import StoredObject
from flowsynth.core.codec import (
    Encoded,
    content_hash,
    frame_hashes,
    is_temporal,
    layout,
    temporal_hash,
    value_type,
)
from flowsynth.core.errors import RunError
from flowsynth.core.ports import Port, ports_of
from flowsynth.core.refs import ChunkRef, JsonRef, ObjectRef, Ref, StreamRef, objects_of, ref_bytes
from flowsynth.core.streams import Span
from flowsynth.executors.order import Order
from flowsynth.executors.tasks import SEGMENT, STATE, Role

if TYPE_CHECKING:
    from flowsynth.cache.store import Cache

#: What reading an object back costs at least.
OPEN_SECONDS = 0.0005
#: The price of disk: so many bytes (raw; frames are coded to some .3 of them) for a second of work that they
#: would save. A default budget of 50 GB then holds more than four hours of work.
BYTES_FOR_A_SECOND = 10e6


def encode(order: Order, values: Mapping[str, Any]) -> dict[str, Encoded]:
    """The bytes, on the host, of what an order gave and is no JSON, by output port.

    Raises:
        RunError: a value is not what its port promises.
    """
    ports = ports_of(type(order.operator)).outputs
    encoded: dict[str, Encoded] = {}
    for port, value in values.items():
        if port not in (STATE, SEGMENT):
            _check(order, ports[port], value)
            if order.role is Role.CHUNK and order.span is not None:
                _check_count(order, port, order.span, value)
        if hasattr(value, "codec_name"):
            encoded[port] = value.encode()
    return encoded


def references(order: Order, values: Mapping[str, Any], encoded: Mapping[str, Encoded]) -> dict[str, Ref]:
    """The references of what an order gave, by output port: this is where its bytes are hashed.

    Raises:
        RunError: a value is not JSON that its port promises.
    """
    return {
        port: _reference(value, encoded[port]) if port in encoded else _json_ref(order, port, value)
        for port, value in values.items()
    }


def _json_ref(order: Order, port: str, value: Any) -> JsonRef:
    try:
        return JsonRef.of(value)
    except (TypeError, ValueError) as error:
        raise RunError(f"{order.node}.{port}: {error}") from error


def _check(order: Order, expected: Port, value: Any) -> None:
    if type(value) is expected.type:
        return
    at = f"{order.node}.{expected.name}"
    if value is None and expected.type is not object:
        raise RunError(f"{at}: the operator gave nothing; expected {expected.type_name}")
    if value is not None and not expected.accepts(type(value)):
        raise RunError(f"{at}: expected {expected.type_name}, the operator gave {type(value).__name__}")


def _check_count(order: Order, port: str, span: Span, value: Any) -> None:
    """A chunk holds the frames that it should: a missing one would shift all that follow, unseen."""
    if value is not None and value.num_frames != span.count:
        expected = f"{span.count} frames ({span.start} to {span.stop} of {span.total})"
        raise RunError(f"{order.node}.{port}: expected {expected}, the operator gave {value.num_frames}")
    if span.stop < span.total and getattr(value, "ragged", False):
        raise RunError(f"{order.node}.{port}: expected full blocks before the end of a sound")


def _reference(value: Any, encoded: Encoded) -> Ref:
    name = value.codec_name
    if not is_temporal(type(value)):
        return ObjectRef(name, content_hash(name, encoded), encoded.nbytes)
    frames, frame_layout = tuple(frame_hashes(encoded)), layout(encoded)
    held = temporal_hash(name, encoded.meta, frame_layout, frames)
    chunk = ChunkRef(held, frames, encoded.nbytes, getattr(value, "num_samples", 0))
    return StreamRef.of(name, encoded.meta, frame_layout, [chunk])


def object_names(refs: Mapping[str, Ref]) -> dict[str, str]:
    """Output port -> name of its object, for what one task gave; JSON has none."""
    return {port: objects_of(ref)[0] for port, ref in refs.items() if not isinstance(ref, JsonRef)}


def worth_storing(keep: str, refs: Mapping[str, Ref], seconds: float) -> bool:
    """Whether values go to disk: if they must, or if what making them again costs is worth their bytes.

    Args:
        keep: ``always``, ``never`` or ``auto``.
        refs: what is to be kept.
        seconds: what it costs to make it again, with what it needs and is not kept.
    """
    if keep != "auto":
        return keep == "always"
    nbytes = sum(ref_bytes(ref) for ref in refs.values())
    return seconds > OPEN_SECONDS + nbytes / BYTES_FOR_A_SECOND


def store(cache: Cache, ref: Ref, encoded: Encoded, seconds: float) -> bool:
    """Write a value's object; False if it is larger than the cache's budget."""
    return cache.put_object(objects_of(ref)[0], stored_object(ref, encoded), seconds) is not None


def stored_object(ref: Ref, encoded: Encoded) -> StoredObject:
    """What is written of a value."""
    return StoredObject(ref_type(ref), value_type(ref_type(ref)).codec_version, encoded)


def ref_type(ref: Ref) -> str:
    """Name of the codec of what is no JSON."""
    if isinstance(ref, JsonRef):
        raise TypeError("JSON has no codec")
    return ref.type
