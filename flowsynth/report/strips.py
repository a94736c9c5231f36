"""Small pictures of what nodes gave: those that are kept, else made now of what lies in the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowsynth.core.refs import StreamRef, Trace
from flowsynth.media.strip import encode_strip, picked, read_strip, stride_for, thumbnail
from flowsynth.report.media import Shelf
from flowsynth.report.pages import StripView

if TYPE_CHECKING:
    from PIL.Image import Image

    from flowsynth.cache.store import Cache

#: Codecs whose values are pictures, and safetensors' names of their dtypes -> numpy's.
_SHOWN = frozenset({"frames", "mask"})
_DTYPES = {"U8": "u1", "F16": "<f2", "F32": "<f4"}


class Strips:
    """Finds or makes strips; imports no torch.

    Args:
        cache: with previews, traces and objects.
        shelf: gives pictures their addresses.
    """

    def __init__(self, cache: Cache, shelf: Shelf) -> None:
        self._cache, self._shelf = cache, shelf
        self._views: dict[str, StripView | None] = {}

    def of(self, objects: dict[str, str], trace: Trace | None) -> dict[str, StripView]:
        """Output port -> strip, of those outputs that are pictures and can still be looked at.

        Args:
            objects: output port -> content hash.
            trace: what the cache knows of the node.
        """
        found = {
            port: self._view(name, trace.outputs.get(port) if trace else None)
            for port, name in objects.items()
        }
        return {port: view for port, view in found.items() if view is not None}

    def _view(self, name: str, ref: Any) -> StripView | None:
        if name not in self._views:
            self._views[name] = self._made(name, ref)
        return self._views[name]

    def _made(self, name: str, ref: Any) -> StripView | None:
        data = self._cache.previews.get(name)
        if data is None and isinstance(ref, StreamRef) and ref.type in _SHOWN and ref.hash == name:
            data = self._drawn(ref)
            if data is not None:
                self._cache.previews.put(name, data)
        strip = read_strip(data) if data is not None else None
        if data is None or strip is None or len(data) > self._shelf.room:
            return None
        facts = strip.tiles, strip.tile_width, strip.tile_height, strip.total, strip.width, strip.height
        return StripView(self._shelf.picture(data), *facts)

    def _drawn(self, ref: StreamRef) -> bytes | None:
        pictures: list[Image] = []
        height = width = 0
        for index in picked(ref.length) if ref.length else ():
            (chunk, start, _), *_ = ref.pieces(index, index + 1)
            frame = self._frame(chunk.object, start)
            if frame is None:
                return None
            height, width = frame.shape[-2:]
            stride = stride_for(height, width)
            pictures.append(thumbnail(frame[:, ::stride, ::stride]))
        return encode_strip(pictures, ref.length, height, width) if pictures and height and width else None

    def _frame(self, name: str, index: int) -> Any:
        """One frame of an object, as an array of C, H, W; None where it is gone or something else."""
        import numpy as np

        stored = self._cache.get_object(name, (index, index + 1))
        buffer = None if stored is None else stored.encoded.tensors.get("data")
        if stored is None or buffer is None or buffer.dtype not in _DTYPES or len(buffer.shape) != 4:
            return None
        frames: Any = np.frombuffer(buffer.data, dtype=_DTYPES[buffer.dtype]).reshape(buffer.shape)
        return frames[index - stored.start] if frames.shape[1] in (1, 3, 4) else None
