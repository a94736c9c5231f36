"""Declarative, cached graphs of typed operators for diffusion image and video work."""

from flowsynth._version import __version__

__all__ = ["__version__"]
