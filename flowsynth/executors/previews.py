"""Small pictures of what nodes give, made as it passes by, in so little time that nobody notices."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flowsynth.cache.previews import Previews
from flowsynth.core.refs import StreamRef
from flowsynth.executors.order import Order
from flowsynth.executors.tasks import Role, StepRun
from flowsynth.media.strip import encode_strip, picked, stride_for, thumbnail

if TYPE_CHECKING:
    from PIL.Image import Image

#: Values that can be looked at.
SHOWN = frozenset({"frames", "mask"})
#: What pictures may cost: so many seconds of a processor, and this share of the run so far.
FREE_SECONDS, SHARE = 0.1, 0.005


class PreviewMaker:
    """Takes a few frames of every clip that tasks make, and keeps them as a strip. Safe for threads.

    Where it has no time left it takes none: what lies in the cache can be looked at later all the same.

    Args:
        kept: where strips are kept.
    """

    def __init__(self, kept: Previews) -> None:
        self._kept = kept
        self._began, self._spent = time.monotonic(), 0.0
        self._taken: dict[tuple[str, str], dict[int, Image]] = {}
        self._sizes: dict[tuple[str, str], tuple[int, int, int]] = {}
        self._lock = threading.Lock()

    def take(self, order: Order, values: Mapping[str, Any]) -> None:
        """Take frames of what a task gave, before anybody else has it. A picture that fails fails nothing."""
        if order.role in (Role.SEGMENT, Role.END):
            return
        for port, value in values.items():
            if getattr(value, "codec_name", "") in SHOWN:
                with suppress(Exception):
                    self._take(order, port, value)

    def _take(self, order: Order, port: str, value: Any) -> None:
        import numpy as np  # noqa: F401  what is imported once is no cost of a picture
        from PIL import Image  # noqa: F401

        span = order.span if order.role is Role.CHUNK else None
        start, total = (0, value.num_frames) if span is None else (span.start, span.total)
        height, width = value.frame_shape[-2:]
        stride, name = stride_for(height, width), (order.node, port)
        for index in picked(total) if total and min(height, width) else ():
            if start <= index < start + value.num_frames and self._affordable:
                begun = time.thread_time()
                picture = thumbnail(value.frame(index - start)[:, ::stride, ::stride].cpu().numpy())
                with self._lock:
                    self._taken.setdefault(name, {})[index] = picture
                    self._sizes[name] = total, height, width
                    self._spent += time.thread_time() - begun

    @property
    def _affordable(self) -> bool:
        return self._spent <= FREE_SECONDS + SHARE * (time.monotonic() - self._began)

    def finish(self, run: StepRun) -> None:
        """Keep the strips of a node whose tasks are all over."""
        for port, ref in (run.outputs or {}).items():
            with self._lock:
                taken = self._taken.pop((run.name, port), {})
                size = self._sizes.pop((run.name, port), (0, 0, 0))
            if taken and isinstance(ref, StreamRef) and not self._kept.has(ref.hash):
                begun = time.thread_time()
                with suppress(Exception):
                    self._kept.put(ref.hash, encode_strip([taken[i] for i in sorted(taken)], *size))
                with self._lock:
                    self._spent += time.thread_time() - begun
