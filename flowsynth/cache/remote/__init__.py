"""A cache that several machines share: read through, written behind, never trusted."""

from flowsynth.cache.remote.cache import SharedCache, open_shared

__all__ = ["SharedCache", "open_shared"]
