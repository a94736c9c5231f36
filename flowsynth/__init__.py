"""Declarative, cached graphs of typed operators for diffusion image and video work."""

from flowsynth._version import __version__
from flowsynth.core.context import RunContext
from flowsynth.core.operator import Operator

__all__ = ["Operator", "RunContext", "__version__"]
