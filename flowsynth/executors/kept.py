"""Parts of a node's work that are kept while it goes on, as hidden objects of the cache."""

from __future__ import annotations

import json
from collections.abc import Mapping

from flowsynth.cache.container import StoredObject
from flowsynth.cache.errors import CacheError
from flowsynth.cache.store import Cache
from flowsynth.core.canonical import digest_parts
from flowsynth.core.codec import Encoded, content_hash, value_type
from flowsynth.values import Tensors


class CacheKept:
    """Finds and keeps parts under names, in a cache.

    A part is found by everything that it depends on: its name holds what it was made of, and `code` the
    operator, the source, the models and the numerics. So it serves whoever makes the same again: the run
    that was killed, and the other jobs of a sweep. Eviction may take it as any object. It stays on this
    machine, as the form of its row's name says: a look into a shared place takes as long as some of the work.
    """

    def __init__(self, cache: Cache, code: str) -> None:
        """Begin.

        Args:
            cache: where parts lie.
            code: what all parts depend on.
        """
        self._cache, self._code = cache, code
        self._full = cache.read_only

    def find(self, name: str) -> Encoded | None:
        """The part of a name; None where it is not kept, or no longer."""
        row = self._cache.lookup(self._row(name))
        if row is None:
            return None
        key, index = json.loads(row)
        held = self._cache.get_object(key)
        if held is None or held.codec_name != Tensors.codec_name:
            return None
        metas, prefix = held.encoded.meta["parts"], f"{index}."
        tensors = {n.removeprefix(prefix): b for n, b in held.encoded.tensors.items() if n.startswith(prefix)}
        return Encoded({"part": metas[index] if isinstance(metas, list) else None}, tensors)

    def keep(self, parts: Mapping[str, Encoded], seconds: float) -> None:
        """Keep parts, on the disk when it returns; where there is no room, the work goes on without.

        Args:
            parts: by name.
            seconds: what they cost to compute.
        """
        if self._full or not parts:
            return
        metas = [encoded.meta.get("part") for encoded in parts.values()]
        tensors = {
            f"{i}.{name}": buffer
            for i, encoded in enumerate(parts.values())
            for name, buffer in encoded.tensors.items()
        }
        whole = Encoded({"parts": metas}, dict(sorted(tensors.items())))
        key = content_hash(Tensors.codec_name, whole)
        stored = StoredObject(Tensors.codec_name, value_type(Tensors.codec_name).codec_version, whole)
        try:
            if self._cache.put_object(key, stored, seconds) is None:
                return
            for i, name in enumerate(parts):
                self._cache.record(self._row(name), json.dumps([key, i]).encode(), seconds)
            self._cache.commit()
            self._cache.release([key])
        except CacheError:
            self._full = True

    def _row(self, name: str) -> str:
        return f"part:{digest_parts([self._code, name])}"
