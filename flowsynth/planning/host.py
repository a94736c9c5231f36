"""What a plan asks of the layers above the core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from flowsynth.core.context import RunContext
from flowsynth.core.fingerprint import ClassSource
from flowsynth.core.graph import CoreGraph


class Index(Protocol):
    """The cache, as a plan sees it: it never writes."""

    def lookup(self, key: str) -> bytes | None:
        """The row under a key."""
        ...

    def lookup_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The rows that exist under some keys."""
        ...

    def has_object(self, key: str) -> bool:
        """Whether an object is there (its bytes are checked when it is opened)."""
        ...


class PlanHost(Index, Protocol):
    """The cache, and everything else that keys are made of."""

    @property
    def fetch(self) -> bool:
        """Whether a run follows, so that what operators need and lack may be downloaded."""
        ...

    def source(self, cls: type) -> ClassSource:
        """The code of a class: an operator's, or that of an object among its params."""
        ...

    def file_hash(self, path: Path) -> str:
        """Content hash of a file."""
        ...

    def model_fingerprint(
        self, name: str, spec: Mapping[str, Any], parts: tuple[str, ...], device: str
    ) -> str:
        """Fingerprint of a model, or of some of its parts, as it is loaded on a device."""
        ...

    def place(self, graph: CoreGraph) -> Mapping[str, str]:
        """Node -> device for a whole graph."""
        ...

    def others(self, graph: CoreGraph, places: Mapping[str, str]) -> Mapping[str, tuple[str, ...]]:
        """Node -> devices that may compute it besides the one where it is placed, where there are any."""
        ...

    def context(self, node: str, device: str) -> RunContext:
        """A context for operators that find files by name."""
        ...
