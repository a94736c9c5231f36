"""Make control maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, listing
from flowsynth.core.streams import Map, StreamKind
from flowsynth.operators._detectors import DETECTORS
from flowsynth.operators._frames import as_rgb, map_frames
from flowsynth.operators._learned import CHOSEN, DEFAULT_WEIGHTS, LEARNED, Render
from flowsynth.operators._weights import PRECISION_TEXT, Precision, WeightedOperator
from flowsynth.values import Frames

if TYPE_CHECKING:
    from torch import Tensor

_Detector = Literal["canny", "luma", "tile", "blur", "hed", "softedge", "segmentation", "face", "pose"]


class Annotate(WeightedOperator):
    """Turn frames into control maps for ControlNets.

    Every frame is taken by itself. Grey input counts as equal channels, alpha is dropped. The result has
    three channels, the size, rate and dtype of the input, and the detector's name as its kind.

    The detectors:

    - ``canny``: white edges, one pixel wide, on black (Canny 1986). `low` and `high` bound the gradient's
      magnitude: a sharp step from black to white has 1. Blurred by `sigma` pixels first, 1 by default.
    - ``luma``: ITU-R BT.601 brightness.
    - ``tile``: the frame itself, which tile models take.
    - ``blur``: the frame under a Gaussian of `sigma` pixels, by default 2 % of the short side.

    The others are trained networks, whose weights are fetched at first use:

    - ``hed``: edges as people draw them, white on black, thick and soft (Xie and Tu, "Holistically-nested
      edge detection", arXiv 1504.06375). Takes frames whole: about a kilobyte of memory a pixel.
    - ``softedge``: the same in few `levels`, n of them: min(floor(n x), n - 1) / (n - 1). Less of the picture
      shows through; 3 is what ControlNet's SoftEdge "safe" does.

    MediaPipe's models find people. LiteRT runs them (``pip install 'flowsynth-engine[litert]'``), on the CPU
    wherever the node is placed. A frame without people gives a black map.

    - ``segmentation``: how sure each pixel shows a person, from black to white; for people near the camera.
    - ``face``: brows, eyes, nose, lips and outline of each face as coloured lines, from a mesh of 468 points
      (Bazarevsky et al., "BlazeFace", arXiv 1907.05047; Kartynnik et al., arXiv 1907.06724).
    - ``pose``: each body as the skeleton that OpenPose draws, with its 18 points and its colours (Bazarevsky
      et al., "BlazePose", arXiv 2006.10204). Joints that are hidden or out of the frame are left out.

    Inputs:
        frames: T, C, H, W of any size and dtype; C is 1, 3 or 4.

    Output:
        Frames of T, 3, H, W.

    Errors:
        OfflineError: the weights are not in the cache and can't be fetched; says how to get them.
        InputError: `weights` is no file, or not one of the detector's network; LiteRT is not installed.
    """

    op: ClassVar[str] = "annotate"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    detector: _Detector = Field("canny", description="what to look for")
    low: float = Field(0.08, ge=0, le=1, description="canny: gradient an edge may fade to")
    high: float = Field(0.2, ge=0, le=1, description="canny: gradient every edge reaches somewhere")
    sigma: float | None = Field(
        None, ge=0, le=1000, description="blur in pixels; null takes the detector's own"
    )
    levels: int = Field(3, ge=2, le=256, description="softedge: grey levels")
    score: float = Field(
        0.5, gt=0, le=1, description="face, pose: confidence below which something does not count"
    )
    most: int = Field(4, ge=1, le=64, description="face, pose: how many are drawn at most, the surest")
    weights: str | None = Field(
        None,
        description="of a trained network, other than its own: a name out of 'flowsynth weights list', or a"
        " checkpoint file",
    )
    precision: Precision = Field("auto", description=PRECISION_TEXT)
    batch_size: int = Field(
        1, ge=1, description="frames a network gets at once; changes results in the last bits"
    )

    def stream(self) -> StreamKind:
        """Frame by frame."""
        return Map()

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """Refuse thresholds in the wrong order, and weights that nothing would use."""
        del inputs
        faults = []
        if self.low > self.high:
            faults.append(Fault("params.low", "above high", f"at most high ({self.high})", str(self.low)))
        if self.weights is not None and self.detector not in CHOSEN:
            expected = f"detector {listing(CHOSEN)}"
            faults.append(Fault("params.weights", f"with detector {self.detector}", expected, self.weights))
        return faults

    @property
    def _weights(self) -> str | None:
        return self.weights or DEFAULT_WEIGHTS.get(self.detector)

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        """Annotate each frame."""
        detect = self._detect(ctx)

        def render(batch: Tensor) -> Tensor:
            return as_rgb(detect(as_rgb(batch)))

        batch = self.batch_size if self.detector in CHOSEN else 1
        return map_frames(ctx, frames, render, kind=self.detector, batch=batch)

    def _detect(self, ctx: RunContext) -> Render:
        if self.detector in DETECTORS:
            classical = DETECTORS[self.detector]
            return lambda frame: classical(frame, self)
        return LEARNED[self.detector](ctx, str(self._weights), self)
