"""Make control maps."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from flowsynth.core.canonical import Json
from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, InputError, listing
from flowsynth.core.keys import library_version
from flowsynth.core.streams import Map, Scan, StreamKind
from flowsynth.nets.registry import networks_code
from flowsynth.nets.roles import EDGES, LINEART, PEOPLE
from flowsynth.operators.control._detectors import DETECTORS
from flowsynth.operators.control._learned import CHOSEN, DEFAULT_WEIGHTS, LEARNED, NAMED, Render
from flowsynth.operators.shared.frames import as_rgb, map_frames
from flowsynth.operators.shared.weights import PRECISION_TEXT, Precision, WeightedOperator
from flowsynth.values import Frames

if TYPE_CHECKING:
    from torch import Tensor

_Detector = Literal[
    "canny", "luma", "tile", "blur", "hed", "softedge", "lineart", "segmentation", "face", "pose", "depth"
]
#: Libraries that only some detectors run by: their version counts for those alone.
_RUNS_BY = {
    "depth": "transformers",
    **dict.fromkeys(("segmentation", "face", "pose"), "ai-edge-litert"),
}
_NAMED_TEXT = "a local path, or a place on the hub beside its commit as revision"
_INSTALL = "pip install 'flowsynth-engine[litert]'"
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Annotate(WeightedOperator):
    """Turn frames into control maps for ControlNets.

    Every frame is taken by itself, but for the range of ``depth``. Grey input counts as equal channels, alpha
    is dropped. The result has three channels, the size, rate and dtype of the input, and the detector's name
    as its kind.

    The detectors:

    - ``canny``: white edges, one pixel wide, on black (Canny 1986). `low` and `high` bound the gradient's
      magnitude: a sharp step from black to white has 1. Blurred by `sigma` pixels first, 1 by default. Edges
      are of brightness; with `color` of colour too: each pixel's steepest channel counts, as in OpenCV.
    - ``luma``: ITU-R BT.601 brightness.
    - ``tile``: the frame itself, which tile models take.
    - ``blur``: the frame under a Gaussian of `sigma` pixels, by default 2 % of the short side.

    The others are trained networks. These fetch their weights at first use, or take what `weights` names:

    - ``hed``: edges as people draw them, white on black, thick and soft (Xie and Tu, "Holistically-nested
      edge detection", arXiv 1504.06375). Takes frames whole: about a kilobyte of memory a pixel. Its weights
      are converted once by h5py (``pip install 'flowsynth-engine[h5]'``).
    - ``softedge``: the same in few `levels`, n of them: min(floor(n x), n - 1) / (n - 1). Less of the picture
      shows through; 3 is what ControlNet's SoftEdge "safe" does.

    MediaPipe's models find people. LiteRT runs them (``pip install 'flowsynth-engine[litert]'``), on the CPU
    wherever the node is placed. A frame without people gives a black map.

    - ``segmentation``: how sure each pixel shows a person, from black to white; for people near the camera.
    - ``face``: brows, eyes, nose, lips and outline of each face as coloured lines, from a mesh of 468 points
      (Bazarevsky et al., "BlazeFace", arXiv 1907.05047; Kartynnik et al., arXiv 1907.06724).
    - ``pose``: each body as the skeleton that OpenPose draws, with its 18 points and its colours (Bazarevsky
      et al., "BlazePose", arXiv 2006.10204). Joints that are hidden or out of the frame are left out.

    For these no package holds weights, so `weights` must name some: a local path, or a place on the hub with
    its commit as `revision`.

    - ``lineart``: lines as a draughtsman draws them, white on black, by the generator of Informative Drawings
      (Chan, Durand and Isola, arXiv 2203.12691): a checkpoint, or ORG/NAME/FILE on the hub, such as
      ``lllyasviel/Annotators/sk_model.pth``.
    - ``depth``: near white, far black, by a network that transformers loads for depth estimation (Depth
      Anything, DPT): a folder with safetensors, or ORG/NAME on the hub, such as
      ``depth-anything/Depth-Anything-V2-Small-hf``. Distances (of metric models) are shown as 1 / distance.
      White is the depth that 99 % of a frame's pixels lie beyond, black the one that 1 % do. So that the map
      doesn't flicker, this range follows the clip: each frame moves it by 1 - `steady` of the way to its own,
      and a jump by more than half of it, as at a cut, starts anew. With `steady` 0 each frame has its own.

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
    uses: ClassVar[tuple[object, ...]] = networks_code(EDGES, LINEART, PEOPLE)

    detector: _Detector = Field("canny", description="what to look for")
    low: float = Field(0.08, ge=0, le=1, description="canny: gradient an edge may fade to")
    high: float = Field(0.2, ge=0, le=1, description="canny: gradient every edge reaches somewhere")
    color: bool = Field(False, description="canny: edges of colour too, not of brightness alone")
    sigma: float | None = Field(
        None, ge=0, le=1000, description="blur in pixels; null takes the detector's own"
    )
    levels: int = Field(3, ge=2, le=256, description="softedge: grey levels")
    score: float = Field(
        0.5, gt=0, le=1, description="face, pose: confidence below which something does not count"
    )
    most: int = Field(4, ge=1, le=64, description="face, pose: how many are drawn at most, the surest")
    steady: float = Field(
        0.9, ge=0, lt=1, description="depth: share of its range that is kept from frame to frame"
    )
    weights: str | None = Field(
        None,
        description="of the network: a name out of 'flowsynth weights list', a checkpoint file, a model's"
        " folder (depth), or with a revision a place on the hub",
    )
    revision: str | None = Field(None, description="of weights on the hub: a commit, 40 hexadecimal digits")
    precision: Precision = Field("auto", description=PRECISION_TEXT)
    batch_size: int = Field(
        1, ge=1, description="frames a network gets at once; changes results in the last bits"
    )

    @field_validator("revision")
    @classmethod
    def _a_commit(cls, value: str | None) -> str | None:
        if value is not None and not _COMMIT.fullmatch(value):
            raise ValueError(f"expected a commit of 40 hexadecimal digits (branches move), given {value!r}")
        return value

    def stream(self) -> StreamKind:
        """Frame by frame; for depth with the range so far handed on."""
        return Scan() if self.detector == "depth" and self.steady else Map()

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """Refuse thresholds in the wrong order, and weights that nothing would use or that are missing."""
        del inputs
        faults, detector = [], f"detector {self.detector}"
        if self.low > self.high:
            faults.append(Fault("params.low", "above high", f"at most high ({self.high})", str(self.low)))
        if self.weights is not None and self.detector not in CHOSEN:
            expected = f"detector {listing(CHOSEN)}"
            faults.append(Fault("params.weights", f"with {detector}", expected, self.weights))
        if self.weights is None and self.detector in NAMED:
            faults.append(Fault("params.weights", f"missing for {detector}", _NAMED_TEXT))
        library = _RUNS_BY.get(self.detector)
        if library and library_version(library) == "absent":
            faults.append(Fault("params.detector", f"needs {library}", _INSTALL, self.detector))
        if self.revision is not None and self.weights is None:
            faults.append(Fault("params.revision", "without weights", "both", self.revision))
        return faults

    def files(self, ctx: RunContext) -> Mapping[str, Path]:
        """The weights, if they are local. On the hub a commit says which they are."""
        if self.revision is not None or self._weights is None:
            return {}
        if self.detector == "depth":
            from flowsynth.operators.control._depth import depth_files
            from flowsynth.operators.control._hub import model_folder

            return depth_files(model_folder(self._weights, None, offline=True))
        return super().files(ctx)

    def key_params(self, files: Collection[str]) -> dict[str, Json]:
        """The params, the checksum of weights that a name stands for, and what the detector runs by."""
        library = _RUNS_BY.get(self.detector)
        runs_by: dict[str, Json] = {"runs_by": f"{library} {library_version(library)}"} if library else {}
        return {**super().key_params(files), **runs_by}

    @property
    def _weights(self) -> str | None:
        return self.weights or DEFAULT_WEIGHTS.get(self.detector)

    def _given(self) -> str:
        if self._weights is None:
            raise InputError(f"params.weights: missing for detector {self.detector}; expected {_NAMED_TEXT}")
        return self._weights

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        """Annotate each frame."""
        if self.detector == "depth":
            return self._depth(ctx, frames)
        detect = self._detect(ctx)

        def render(batch: Tensor) -> Tensor:
            return as_rgb(detect(as_rgb(batch)))

        batch = self.batch_size if self.detector in CHOSEN else 1
        return map_frames(ctx, frames, render, kind=self.detector, batch=batch)

    def _detect(self, ctx: RunContext) -> Render:
        if self.detector in DETECTORS:
            classical = DETECTORS[self.detector]
            return lambda frame: classical(frame, self)
        weights = self._given()
        if self.revision is not None:
            from flowsynth.operators.control._hub import hub_checkpoint

            weights = str(hub_checkpoint(weights, self.revision, offline=ctx.offline))
        return LEARNED[self.detector](ctx, weights, self)

    def _depth(self, ctx: RunContext, frames: Frames) -> Frames:
        from flowsynth.operators.control._depth import DepthSettings, annotate_depth
        from flowsynth.operators.control._hub import model_folder

        folder = model_folder(self._given(), self.revision, offline=ctx.offline)
        return annotate_depth(
            ctx, frames, DepthSettings(folder, self.precision, self.batch_size, self.steady)
        )
