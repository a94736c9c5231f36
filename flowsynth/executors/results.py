"""What a task gave: checked against its ports, hashed, and stored where that pays."""

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
from flowsynth.core.refs import ChunkRef, JsonRef, ObjectRef, Ref, StreamRef, ref_bytes
from flowsynth.core.streams import Fold, Whole
from flowsynth.executors.tasks import SEGMENT, STATE, Role, Task
from flowsynth.planning.plan import Step

if TYPE_CHECKING:
    from flowsynth.cache.store import Cache

#: What reading an object back costs: opening it, and bytes a second through a warm page cache.
OPEN_SECONDS = 0.0005
READ_BYTES_PER_SECOND = 1.5e9


def references(step: Step, values: Mapping[str, Any]) -> tuple[dict[str, Ref], dict[str, Encoded]]:
    """The references of a task's values, and the bytes of those that are not JSON.

    Raises:
        RunError: a value is not what its port promises.
    """
    refs: dict[str, Ref] = {}
    encoded: dict[str, Encoded] = {}
    for port, value in values.items():
        if port not in (STATE, SEGMENT):
            _check_type(step, port, value)
        if not hasattr(value, "codec_name"):
            refs[port] = _json_ref(step, port, value)
            continue
        encoded[port] = value.encode()
        refs[port] = _reference(value, encoded[port])
    return refs, encoded


def _json_ref(step: Step, port: str, value: Any) -> JsonRef:
    try:
        return JsonRef.of(value)
    except (TypeError, ValueError) as error:
        raise RunError(f"{step.name}.{port}: {error}") from error


def _check_type(step: Step, port: str, value: Any) -> None:
    expected = step.ports.outputs[port]
    if value is None and expected.type is not object:
        raise RunError(f"{step.name}.{port}: the operator gave nothing; expected {expected.type_name}")
    if value is not None and not expected.accepts(type(value)) and expected.type is not type(value):
        raise RunError(
            f"{step.name}.{port}: expected {expected.type_name}, the operator gave {type(value).__name__}"
        )


def _reference(value: Any, encoded: Encoded) -> Ref:
    name = value.codec_name
    if not is_temporal(type(value)):
        return ObjectRef(name, content_hash(name, encoded), encoded.nbytes)
    frames, frame_layout = tuple(frame_hashes(encoded)), layout(encoded)
    chunk = ChunkRef(temporal_hash(name, encoded.meta, frame_layout, frames), frames, encoded.nbytes)
    return StreamRef.of(name, encoded.meta, frame_layout, [chunk])


def worth_storing(task: Task, refs: Mapping[str, Ref], seconds: float) -> bool:
    """Whether values go to disk: if recomputing costs more than loading, or all of a stream is needed."""
    step = task.run.step
    if step.node.cache == "always" or step.wanted or needed_whole(task):
        return True
    if step.node.cache == "never":
        return False
    nbytes = sum(ref_bytes(ref) for ref in refs.values())
    return seconds > OPEN_SECONDS + nbytes / READ_BYTES_PER_SECOND


def needed_whole(task: Task) -> bool:
    """Whether some reader of a chunk needs many chunks at once, so that it has to be spooled."""
    if task.role is not Role.CHUNK:
        return False
    return any(isinstance(consumer.kind, (Whole, Fold)) for consumer in task.run.step.consumers)


def store(cache: Cache, ref: Ref, encoded: Encoded, seconds: float) -> bool:
    """Write a value's object; False if it is larger than the cache's budget."""
    if isinstance(ref, JsonRef):
        return True
    name = ref.chunks[0].object if isinstance(ref, StreamRef) else ref.hash
    stored = StoredObject(ref.type, value_type(ref.type).codec_version, encoded)
    return cache.put_object(name, stored, seconds) is not None
