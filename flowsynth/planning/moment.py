"""What several plans made at one moment share, so that what their nodes have in common is found once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from flowsynth.core.filehash import FileWatch
from flowsynth.core.fingerprint import ClassSource
from flowsynth.core.keys import ClassKey, StaticKey
from flowsynth.core.operator import Operator
from flowsynth.core.ports import Ports
from flowsynth.core.streams import StreamKind


class Found(NamedTuple):
    """What is to be known of a node whatever it reads: see `Step`.

    Attributes:
        given: the operator that the node has; held, so that no other comes to have its id.
    """

    given: Operator
    operator: Operator
    ports: Ports
    kind: StreamKind
    streamed: frozenset[str]
    kept: bool
    static: StaticKey
    notes: tuple[str, ...]
    files: FileWatch


@dataclass(slots=True)
class Code:
    """What the code of classes gives to a step.

    Attributes:
        sources: the classes' code.
        files: files that the code names as text, whose bytes are part of its fingerprint.
        kept: what is made with it may be traced.
        notes: what looking at it has to tell.
    """

    sources: tuple[ClassSource, ...]
    files: FileWatch = field(default_factory=FileWatch)
    kept: bool = field(init=False)
    notes: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """What follows from the sources."""
        self.kept = all(source.kept for source in self.sources)
        self.notes = tuple(dict.fromkeys(note for source in self.sources for note in source.notes))

    def joined(self, other: Code) -> Code:
        """Both."""
        files = FileWatch()
        for one in (self, other):
            files.join(one.files)
        return Code((*self.sources, *other.sources), files)


@dataclass(slots=True)
class Moment:
    """What plans made at one moment share: nothing that they look at changes in between.

    Attributes:
        found: what is to be known of nodes whatever they read; the operators live as long.
        code: the code of classes.
        shared: class of an operator, device -> what its keys begin with.
        models: fingerprints of models, with their specs.
    """

    found: dict[tuple[object, ...], Found] = field(default_factory=dict)
    code: dict[type, Code] = field(default_factory=dict)
    shared: dict[tuple[type, str], ClassKey] = field(default_factory=dict)
    models: dict[tuple[int, tuple[str, ...], str], tuple[object, str, FileWatch]] = field(
        default_factory=dict
    )

    @property
    def begun(self) -> bool:
        """Whether a plan was made in it."""
        return bool(self.code)
