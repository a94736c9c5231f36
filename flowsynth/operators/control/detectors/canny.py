"""White edges, one pixel wide, on black (Canny 1986).

`low` and `high` bound the gradient's magnitude: a sharp step from black to white has 1. Blurred by `sigma`
pixels first, 1 by default. Edges are of brightness; with `color` of colour too: each pixel's steepest channel
counts, as in OpenCV.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault
from flowsynth.operators.control._detector import Detector, DetectorParams, Render

if TYPE_CHECKING:
    from torch import Tensor


class Canny(Detector):
    """Thin edges."""

    def check(self, params: DetectorParams) -> list[Fault]:
        """Refuse thresholds in the wrong order."""
        faults = super().check(params)
        if params.low > params.high:
            expected = f"at most high ({params.high})"
            faults.append(Fault("params.low", "above high", expected, str(params.low)))
        return faults

    def open(self, ctx: RunContext, params: DetectorParams) -> Render:
        """Find the edges of frames."""
        from flowsynth.functional.picture.edges import canny

        del ctx
        sigma = 1.0 if params.sigma is None else params.sigma

        def render(frames: Tensor) -> Tensor:
            return canny(frames, low=params.low, high=params.high, sigma=sigma, color=params.color)

        return render


DETECTOR = Canny()
