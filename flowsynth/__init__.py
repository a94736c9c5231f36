"""Declarative, cached graphs of typed operators for diffusion image and video work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowsynth._version import __version__
from flowsynth.core.context import RunContext
from flowsynth.core.operator import Operator

if TYPE_CHECKING:
    from flowsynth.api import Graph, Run, RunFailedError, Session
    from flowsynth.config.graph import compose

_LAZY = {
    "Graph": "flowsynth.api",
    "Run": "flowsynth.api",
    "RunFailedError": "flowsynth.api",
    "Session": "flowsynth.api",
    "compose": "flowsynth.config.graph",
}

__all__ = ["Graph", "Operator", "Run", "RunContext", "RunFailedError", "Session", "__version__", "compose"]


def __getattr__(name: str) -> Any:
    """Import the larger parts when they are first asked for."""
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'flowsynth' has no attribute {name!r}")
