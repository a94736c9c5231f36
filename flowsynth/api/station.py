"""A session as a worker elsewhere has it: all that it needs to carry out orders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flowsynth.api.host import Host
from flowsynth.api.session import Session
from flowsynth.cache.store import Cache


@dataclass(frozen=True, slots=True)
class SessionStation:
    """A session, to workers."""

    keys: Session

    @property
    def cache(self) -> Cache:
        """Its cache."""
        return self.keys.cache

    def host(self, specs: Mapping[str, Mapping[str, Any]]) -> Host:
        """Contexts and models for a graph's entries under ``models:``."""
        return Host(self.keys, specs)


@contextmanager
def open_station(
    folder: str, offline: bool, max_bytes: int | None, model_bytes: int | None
) -> Iterator[SessionStation]:
    """A session of a worker.

    Args:
        folder: its cache folder.
        offline: never touch the network.
        max_bytes: budget of the cache's objects.
        model_bytes: budget of the loaded models of a device.
    """
    session = Session(folder, offline=offline, max_bytes=max_bytes, model_bytes=model_bytes)
    with session, session.running():
        yield SessionStation(session)
