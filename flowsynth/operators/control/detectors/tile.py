"""The frame itself, which tile models take."""

from __future__ import annotations

from flowsynth.core.context import RunContext
from flowsynth.operators.control._detector import Detector, DetectorParams, Render


class Tile(Detector):
    """The picture."""

    def open(self, ctx: RunContext, params: DetectorParams) -> Render:
        """Pass frames through."""
        del ctx, params
        return lambda frames: frames


DETECTOR = Tile()
