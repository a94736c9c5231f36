"""Traces, objects, leases and eviction: the content-addressed disk cache."""

from flowsynth.cache.container import StoredObject
from flowsynth.cache.errors import CacheError, CacheFull
from flowsynth.cache.eviction import Evicted
from flowsynth.cache.objects import ObjectInfo
from flowsynth.cache.store import Cache

__all__ = ["Cache", "CacheError", "CacheFull", "Evicted", "ObjectInfo", "StoredObject"]
