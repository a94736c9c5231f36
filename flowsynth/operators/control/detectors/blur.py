"""The frame under a Gaussian of `sigma` pixels, by default 2 % of the short side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowsynth.core.context import RunContext
from flowsynth.operators.control._detector import Detector, DetectorParams, Render

if TYPE_CHECKING:
    from torch import Tensor


class Blur(Detector):
    """Colour without detail."""

    def open(self, ctx: RunContext, params: DetectorParams) -> Render:
        """Blur frames."""
        from flowsynth.functional.picture.blur import gaussian_blur

        del ctx

        def render(frames: Tensor) -> Tensor:
            sigma = 0.02 * min(frames.shape[-2:]) if params.sigma is None else params.sigma
            return gaussian_blur(frames, sigma)

        return render


DETECTOR = Blur()
