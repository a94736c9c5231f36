"""Declarative, cached graphs of typed operators for diffusion image and video work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowsynth._version import __version__

if TYPE_CHECKING:
    from flowsynth.api import Graph, Run, RunFailedError, Session
    from flowsynth.config.graph import compose
    from flowsynth.core.context import RunContext
    from flowsynth.core.operator import Operator

_LAZY = {
    "Graph": "flowsynth.api",
    "Operator": "flowsynth.core.operator",
    "Run": "flowsynth.api",
    "RunContext": "flowsynth.core.context",
    "RunFailedError": "flowsynth.api",
    "Session": "flowsynth.api",
    "compose": "flowsynth.config.graph",
}

__all__ = ["Graph", "Operator", "Run", "RunContext", "RunFailedError", "Session", "__version__", "compose"]


def __getattr__(name: str) -> Any:
    """Import a part when it is first asked for: ``flowsynth --help`` needs none, not even pydantic."""
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'flowsynth' has no attribute {name!r}")
