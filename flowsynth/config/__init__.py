"""From names, files and overrides to a graph: the only part that knows Hydra, imported when called."""

from __future__ import annotations

from flowsynth.config.composition import Composition, compose_graph, compose_request, compose_settings, sweep
from flowsynth.config.settings import CacheSettings, Settings
from flowsynth.config.template import Composer

__all__ = [
    "CacheSettings",
    "Composer",
    "Composition",
    "Settings",
    "compose_graph",
    "compose_request",
    "compose_settings",
    "sweep",
]
