"""From names, files and overrides to a graph: the only part that knows Hydra, imported when called."""

from __future__ import annotations

from flowsynth.config.asked import Asked, asked_sweep
from flowsynth.config.composition import Composition, compose_graph, compose_request, compose_settings, sweep
from flowsynth.config.doors import Doors
from flowsynth.config.settings import CacheSettings, Settings
from flowsynth.config.template import Composer

__all__ = [
    "Asked",
    "CacheSettings",
    "Composer",
    "Composition",
    "Doors",
    "Settings",
    "asked_sweep",
    "compose_graph",
    "compose_request",
    "compose_settings",
    "sweep",
]
