"""What whoever carries orders out asks of the layers above: contexts, models, and what is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from flowsynth.core.context import RunContext


class RunHost(Protocol):
    """One run's view of a session."""

    def context(self, node: str, device: str) -> RunContext:
        """A context for an operator, with the manager of its device's models."""
        ...

    def relieve(self, device: str) -> None:
        """Drop all that is loaded on a device and in nobody's use."""
        ...

    def models(self, names: Sequence[str]) -> list[Any]:
        """What a model port gets for each name under ``models:``."""
        ...

    def resident(self, device: str, names: Sequence[str]) -> bool:
        """Whether all of some models are loaded on a device."""
        ...
