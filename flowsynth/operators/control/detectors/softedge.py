"""The edges of ``hed`` in few `levels`, n of them: min(floor(n x), n - 1) / (n - 1).

Less of the picture shows through; 3 is what ControlNet's SoftEdge "safe" does.
"""

from __future__ import annotations

from flowsynth.core.context import RunContext
from flowsynth.operators.control._detector import DetectorParams, Render
from flowsynth.operators.control.detectors.hed import Hed


class SoftEdge(Hed):
    """Edges in steps."""

    def open(self, ctx: RunContext, params: DetectorParams) -> Render:
        """Load the network, and find the edges of frames."""
        from flowsynth.functional.picture.softedge import quantise

        edges = super().open(ctx, params)
        return lambda frames: quantise(edges(frames), params.levels)


DETECTOR = SoftEdge()
