"""An order and its outcome: one task as plain data, so that whoever has the cache's objects can carry it out.

Everything here becomes JSON and comes back equal. Values are named by the hashes of their objects; who
carries an order out fetches them from memory or from the cache, and stores what comes out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from flowsynth.core.canonical import Json, plain_json
from flowsynth.core.operator import Operator
from flowsynth.core.refs import JsonRef, ObjectRef, Ref, ref_from_json, ref_to_json
from flowsynth.core.registry import operator_class
from flowsynth.core.streams import Span
from flowsynth.executors.tasks import Role


class Piece(NamedTuple):
    """Frames of one object.

    Attributes:
        object: its name.
        start: first frame in it.
        stop: one past the last.
    """

    object: str
    start: int
    stop: int


class Cut(NamedTuple):
    """Frames of a stream.

    Attributes:
        type: the codec's name.
        hash: identity of the frames, however they are cut into objects.
        pieces: where they are, in order.
    """

    type: str
    hash: str
    pieces: tuple[Piece, ...]


#: What one edge brings: JSON itself, or where the value is.
Part: TypeAlias = JsonRef | ObjectRef | Cut


class Given(NamedTuple):
    """What a task reads on one port.

    Attributes:
        port: the port.
        many: it gets a list: of all edges, or of all segments.
        parts: what each edge brings; one, unless it is many.
    """

    port: str
    many: bool
    parts: tuple[Part, ...]

    @property
    def hash(self) -> str:
        """What stands for it in a key."""
        return "[" + ",".join(part.hash for part in self.parts) + "]" if self.many else self.parts[0].hash

    def objects(self) -> list[str]:
        """Names of the objects that hold it."""
        found: list[str] = []
        for part in self.parts:
            if isinstance(part, ObjectRef):
                found.append(part.hash)
            elif isinstance(part, Cut):
                found += [piece.object for piece in part.pieces]
        return found

    def to_json(self) -> Json:
        """All of it as JSON."""
        parts: list[Json] = [_part_to_json(part) for part in self.parts]
        return [self.port, self.many, parts]

    @classmethod
    def from_json(cls, data: Any) -> Given:
        """It back from what `to_json` made."""
        port, many, parts = data
        return cls(port, many, tuple(_part_from_json(part) for part in parts))


@dataclass(slots=True)
class Order:
    """One task to carry out.

    Attributes:
        node: the node's name.
        operator: what to do, with its parameters.
        role: what part of the node it makes.
        span: which frames, for chunks and segments.
        device: the logical device to compute on.
        inputs: what it reads, hidden ports included.
        models: model port -> names of models.
        key: its key.
        specs: name of a model -> its entry under ``models:``.
        scans: it hands a state on to the next chunk.
        shared: several will read what comes out, so each must get one of its own.
        keep: ``always`` store what comes out, ``never``, or ``auto``: where that pays.
        late: what comes out and is not stored waits long for its reader: in a file, not in memory.
        code: what of its key holds whatever its parameters and inputs are; empty where nothing is kept.
        identity: the parts of its key as hashes, for whoever carries it out elsewhere; empty here.
        owed: seconds that it would cost to make what it reads again, as far as that is not kept.
    """

    node: str
    operator: Operator
    role: Role
    span: Span | None
    device: str
    inputs: tuple[Given, ...]
    models: Mapping[str, tuple[str, ...]]
    key: str
    specs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    scans: bool = False
    shared: bool = True
    keep: str = "auto"
    late: bool = False
    code: str = ""
    identity: Mapping[str, str] = field(default_factory=dict)
    owed: float = 0.0

    def objects(self) -> list[str]:
        """Names of the objects that it reads, once each."""
        return list(dict.fromkeys(name for given in self.inputs for name in given.objects()))

    def to_bytes(self) -> bytes:
        """The order as JSON."""
        span = self.span
        operator: Json = [type(self.operator).op, self.operator.model_dump(mode="json")]
        return plain_json(
            {
                "node": self.node,
                "operator": operator,
                "role": self.role.value,
                "span": None if span is None else span.to_json(),
                "device": self.device,
                "inputs": [given.to_json() for given in self.inputs],
                "models": {port: list(names) for port, names in self.models.items()},
                "key": self.key,
                "specs": {name: dict(spec) for name, spec in self.specs.items()},
                "scans": self.scans,
                "shared": self.shared,
                "keep": self.keep,
                "late": self.late,
                "code": self.code,
                "identity": dict(self.identity),
                "owed": self.owed,
            }
        ).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Order:
        """The order back.

        Raises:
            RequestError: no such operator here.
            ValueError: it is not what `to_bytes` wrote.
        """
        found = json.loads(data)
        op, params = found["operator"]
        return cls(
            found["node"],
            operator_class(op).model_validate(params),
            Role(found["role"]),
            None if found["span"] is None else Span.from_json(found["span"]),
            found["device"],
            tuple(Given.from_json(given) for given in found["inputs"]),
            {port: tuple(names) for port, names in found["models"].items()},
            found["key"],
            found["specs"],
            found["scans"],
            found["shared"],
            found["keep"],
            found["late"],
            found["code"],
            found["identity"],
            found["owed"],
        )


@dataclass(slots=True)
class Outcome:
    """What became of an order: references, or objects that are missing, or a failure.

    Attributes:
        refs: output port -> reference, hidden ports included.
        seconds: what computing took.
        notes: what the operator wanted said.
        stored: every value is in the cache.
        rounded: memory was short, so it was made in smaller portions: nothing that others may take for what
            a run gives.
        spooled: those that are not wait in files, not in memory.
        missing: names of objects that are neither in memory nor on disk; nothing was computed.
        failed: why it failed.
        code: exit code of the failure: 2 where the request was wrong.
        peak_bytes: most memory that was seen in use meanwhile.
    """

    refs: Mapping[str, Ref] = field(default_factory=dict)
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    stored: bool = True
    spooled: bool = False
    rounded: bool = False
    missing: tuple[str, ...] = ()
    failed: str = ""
    code: int = 0
    peak_bytes: int = 0

    def to_bytes(self) -> bytes:
        """The outcome as JSON."""
        return plain_json(
            {
                "refs": {port: ref_to_json(ref) for port, ref in self.refs.items()},
                "seconds": self.seconds,
                "notes": list(self.notes),
                "stored": self.stored,
                "spooled": self.spooled,
                "rounded": self.rounded,
                "missing": list(self.missing),
                "failed": self.failed,
                "code": self.code,
                "peak_bytes": self.peak_bytes,
            }
        ).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Outcome:
        """The outcome back."""
        found = json.loads(data)
        return cls(
            {port: ref_from_json(ref) for port, ref in found["refs"].items()},
            found["seconds"],
            tuple(found["notes"]),
            found["stored"],
            found["spooled"],
            found["rounded"],
            tuple(found["missing"]),
            found["failed"],
            found["code"],
            found["peak_bytes"],
        )


def _part_to_json(part: Part) -> Json:
    if isinstance(part, Cut):
        return ["c", part.type, part.hash, [list(piece) for piece in part.pieces]]
    return ref_to_json(part)


def _part_from_json(data: Any) -> Part:
    if data[0] == "c":
        return Cut(data[1], data[2], tuple(Piece(*piece) for piece in data[3]))
    found = ref_from_json(data)
    if not isinstance(found, (JsonRef, ObjectRef)):
        raise ValueError(f"{data!r:.80} is no part of an input")
    return found
