"""From names, files and overrides to a graph: the only part that knows Hydra, imported when called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowsynth.config.asked import Asked, asked_sweep
    from flowsynth.config.composition import (
        Composition,
        compose_graph,
        compose_request,
        compose_settings,
        sweep,
    )
    from flowsynth.config.doors import Doors
    from flowsynth.config.settings import CacheSettings, Settings
    from flowsynth.config.template import Composer

_LAZY = {
    "Asked": "asked",
    "CacheSettings": "settings",
    "Composer": "template",
    "Composition": "composition",
    "Doors": "doors",
    "Settings": "settings",
    "asked_sweep": "asked",
    "compose_graph": "composition",
    "compose_request": "composition",
    "compose_settings": "composition",
    "sweep": "composition",
}

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


def __getattr__(name: str) -> Any:
    """Import a part when it is first asked for: completion and lists read names of files alone."""
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
