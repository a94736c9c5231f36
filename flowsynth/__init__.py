"""Declarative, cached graphs of typed operators for diffusion image and video work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowsynth._version import __version__

if TYPE_CHECKING:
    from flowsynth.api import Graph, Run, RunFailedError, Session
    from flowsynth.config.graph import compose
    from flowsynth.core.context import RunContext
    from flowsynth.core.operator import Operator
    from flowsynth.values import Frames, Video

_LAZY = {
    "Frames": "flowsynth.values",
    "Graph": "flowsynth.api",
    "Operator": "flowsynth.core.operator",
    "Run": "flowsynth.api",
    "RunContext": "flowsynth.core.context",
    "RunFailedError": "flowsynth.api",
    "Session": "flowsynth.api",
    "Video": "flowsynth.values",
    "compose": "flowsynth.config.graph",
}

__all__ = [
    "Frames",
    "Graph",
    "Operator",
    "Run",
    "RunContext",
    "RunFailedError",
    "Session",
    "Video",
    "__version__",
    "compose",
]


def __dir__() -> list[str]:
    """What completion and `dir` show, imported or not."""
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    """Import a part when it is first asked for: ``flowsynth --help`` needs none, not even pydantic."""
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'flowsynth' has no attribute {name!r}")
