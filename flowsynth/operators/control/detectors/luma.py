"""ITU-R BT.601 brightness."""

from __future__ import annotations

from flowsynth.core.context import RunContext
from flowsynth.operators.control._detector import Detector, DetectorParams, Render


class Luma(Detector):
    """Brightness without colour."""

    def open(self, ctx: RunContext, params: DetectorParams) -> Render:
        """Take the colours out of frames."""
        from flowsynth.functional.picture.color import luma

        del ctx, params
        return luma


DETECTOR = Luma()
