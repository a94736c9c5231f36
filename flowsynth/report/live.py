"""A run while it goes, for its live page: rows of nodes, and what denoisers see of their latents."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flowsynth.core.record import RunRecord
from flowsynth.core.tracking import Tracker
from flowsynth.media.strip import SIDE, TILES

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Looks are not taken more often than this, in seconds, and only while somebody watches.
LOOK_SECONDS = 0.4
#: Whoever has not asked for so many seconds watches no longer.
WATCHING_SECONDS = 5.0


class LiveRun(Tracker):
    """What the live page shows. Safe for threads.

    Attributes:
        status: running, done, failed or stopped.
    """

    def __init__(self) -> None:
        super().__init__()
        self.status = "running"
        self.seconds: float | None = None
        self._looks: dict[str, tuple[int, bytes]] = {}
        self._looked, self._asked = 0.0, 0.0
        self._told = threading.Event()

    def node_latents(self, node: str, space: str, latents: Callable[[], Any]) -> None:
        """Take a look, if anybody watches and the last one is not just taken."""
        now = time.monotonic()
        if now - self._asked > WATCHING_SECONDS or now - self._looked < LOOK_SECONDS:
            return
        from flowsynth.models.latent_rgb import coloured

        with suppress(Exception):  # a look that fails fails no run
            frames = latents()
            step = max(frames.shape[0] // TILES, 1)
            shown = coloured(frames[step // 2 :: step][:TILES], space)
            if shown is not None:
                with self.lock:
                    self._looks[node] = self._looks.get(node, (0, b""))[0] + 1, png(shown)
        self._looked = time.monotonic()

    def run_finished(self, record: RunRecord) -> None:
        """Say how it ended."""
        with self.lock:
            self.status, self.seconds = record.status, record.seconds

    def look(self, node: str) -> bytes | None:
        """The last look at a node, as PNG."""
        with self.lock:
            found = self._looks.get(node)
        return None if found is None else found[1]

    def state(self) -> dict[str, Any]:
        """All that the page is told, whenever it asks."""
        now = time.monotonic()
        with self.lock:
            self._asked = now
            rows = [
                {
                    "name": row.outline.name,
                    "op": row.outline.op,
                    "device": row.device,
                    "state": row.state,
                    "done": row.done,
                    "total": row.total,
                    "step": row.step,
                    "steps": row.steps,
                    "share": row.share,
                    "seconds": now - row.since if row.state == "running" else row.seconds,
                    "text": row.text,
                    "look": self._looks.get(row.outline.name, (0, b""))[0],
                }
                for row in self.rows.values()
            ]
            status = self.status
            seconds = now - self.began if self.seconds is None else self.seconds
        if status != "running":
            self._told.set()
        left = self.left() if status == "running" else 0.0
        facts = {
            "graph": self.graph,
            "status": status,
            "seconds": seconds,
            "left": left,
            "saved": self.saved(),
        }
        return {**facts, "nodes": rows}

    def part(self, stopped: bool, seconds: float = 1.5) -> None:
        """Have whoever watches hear the end, if it takes no longer than some seconds."""
        with self.lock:
            if self.status == "running":
                self.status = "stopped" if stopped else "failed"
            watched = time.monotonic() - self._asked < WATCHING_SECONDS
        if watched:
            self._told.wait(seconds)


def png(frames: NDArray[Any]) -> bytes:
    """Small frames side by side, as PNG, enlarged without smoothing to what can be seen.

    Args:
        frames: T x 3 x h x w of bytes.
    """
    import numpy as np
    from PIL import Image

    row = np.concatenate(list(frames.transpose(0, 2, 3, 1)), axis=1)
    scale = max(SIDE // max(frames.shape[-2:]), 1)
    image = Image.fromarray(np.ascontiguousarray(row))
    image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    target = io.BytesIO()
    image.save(target, "PNG", compress_level=1)
    return target.getvalue()
