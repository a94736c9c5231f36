"""Make control maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Map, StreamKind
from flowsynth.operators._detectors import DETECTORS
from flowsynth.operators._frames import as_rgb, map_frames
from flowsynth.values import Frames

if TYPE_CHECKING:
    from torch import Tensor


class Annotate(Operator):
    """Turn frames into control maps for ControlNets.

    Every frame is taken by itself. Grey input counts as equal channels, alpha is dropped. The result has
    three channels, the size, rate and dtype of the input, and the detector's name as its kind.

    The detectors:

    - ``canny``: white edges, one pixel wide, on black (Canny 1986). `low` and `high` bound the gradient's
      magnitude: a sharp step from black to white has 1. Blurred by `sigma` pixels first, 1 by default.
    - ``luma``: ITU-R BT.601 brightness.
    - ``tile``: the frame itself, which tile models take.
    - ``blur``: the frame under a Gaussian of `sigma` pixels, by default 2 % of the short side.

    Inputs:
        frames: T, C, H, W of any size and dtype; C is 1, 3 or 4.

    Output:
        Frames of T, 3, H, W.
    """

    op: ClassVar[str] = "annotate"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    detector: Literal["canny", "luma", "tile", "blur"] = Field("canny", description="what to look for")
    low: float = Field(0.08, ge=0, le=1, description="canny: gradient an edge may fade to")
    high: float = Field(0.2, ge=0, le=1, description="canny: gradient every edge reaches somewhere")
    sigma: float | None = Field(
        None, ge=0, le=1000, description="blur in pixels; null takes the detector's own"
    )

    def stream(self) -> StreamKind:
        """Frame by frame."""
        return Map()

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """Refuse thresholds in the wrong order."""
        del inputs
        if self.low > self.high:
            return [Fault("params.low", "above high", f"at most high ({self.high})", str(self.low))]
        return []

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        """Annotate each frame."""
        detect = DETECTORS[self.detector]

        def render(frame: Tensor) -> Tensor:
            return as_rgb(detect(as_rgb(frame), self))

        return map_frames(ctx, frames, render, kind=self.detector)
