"""The Python interface: graphs that run, sessions on a cache, and what runs leave."""

from flowsynth.api.graph import Graph
from flowsynth.api.run import Run, RunFailedError
from flowsynth.api.session import Session

__all__ = ["Graph", "Run", "RunFailedError", "Session"]
