"""What whoever carries orders out asks of a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowsynth.api.session import Session
from flowsynth.core.context import RunContext

if TYPE_CHECKING:
    from flowsynth.models import Model


class Host:
    """What whoever carries orders out asks of a session: see `RunHost`.

    Args:
        session: with its cache folder and its loaded models.
        specs: the entries under ``models:``.
    """

    def __init__(self, session: Session, specs: Mapping[str, Mapping[str, Any]]) -> None:
        self._session = session
        self._specs = specs
        self._models: dict[str, Model] = {}
        self._prepared: set[str] = set()

    def context(self, node: str, device: str) -> RunContext:
        """A context for an operator, with the manager of its device's models."""
        if device not in self._prepared:  # not before: what is cached needs none
            self._session.prepare_managers([device])
            self._prepared.add(device)
        return self._session.context(node, device)

    def relieve(self, device: str) -> None:
        """Drop all that is loaded on a device and in nobody's use."""
        self._session.relieve(device)

    def models(self, names: Sequence[str]) -> list[Any]:
        """What a model port gets for each name."""
        for name in names:
            if name not in self._models:
                self._models[name] = self._session.model(name, self._specs[name])
        return [self._models[name] for name in names]

    def resident(self, device: str, names: Sequence[str]) -> bool:
        """Whether all of some models are loaded on a device."""
        known = [self._models[name].spec for name in names if name in self._models]
        return len(known) == len(names) and self._session.resident(device, known)
