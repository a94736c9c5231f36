"""Make control maps."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from pydantic import Field, field_validator

from flowsynth.core.canonical import Json
from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, listing
from flowsynth.core.keys import library_version
from flowsynth.core.streams import StreamKind
from flowsynth.nets.roles import Role
from flowsynth.operators.control._detector import Detector
from flowsynth.operators.control._registry import described, detectors, detectors_code
from flowsynth.operators.shared.weights import PRECISION_TEXT, Precision, WeightedOperator
from flowsynth.values import Frames

if TYPE_CHECKING:
    DetectorName: TypeAlias = str
else:
    DetectorName = Literal[tuple(detectors())]
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Annotate(WeightedOperator):
    """Turn frames into control maps for ControlNets.

    Every frame is taken by itself, but for the range of ``depth``. Grey input counts as equal channels, alpha
    is dropped. The result has three channels, the size, rate and dtype of the input, and the detector's name
    as its kind.

    [detectors]

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
    same_size: ClassVar[str] = "frames"
    libraries: ClassVar[tuple[str, ...]] = ("torch",)
    uses: ClassVar[tuple[object, ...]] = detectors_code()

    detector: DetectorName = Field(default="canny", description="what to look for")
    low: float = Field(default=0.08, ge=0, le=1, description="canny: gradient an edge may fade to")
    high: float = Field(default=0.2, ge=0, le=1, description="canny: gradient every edge reaches somewhere")
    color: bool = Field(default=False, description="canny: edges of colour too, not of brightness alone")
    sigma: float | None = Field(
        default=None, ge=0, le=1000, description="blur in pixels; null takes the detector's own"
    )
    levels: int = Field(default=3, ge=2, le=256, description="softedge: grey levels")
    score: float = Field(
        default=0.5, gt=0, le=1, description="face, pose: confidence below which something does not count"
    )
    most: int = Field(
        default=4, ge=1, le=64, description="face, pose: how many are drawn at most, the surest"
    )
    steady: float = Field(
        default=0.9, ge=0, lt=1, description="depth: share of its range that is kept from frame to frame"
    )
    weights: str | None = Field(
        default=None,
        description="of the network: a name out of 'flowsynth weights list', a checkpoint file, a model's"
        " folder (depth), or with a revision a place on the hub",
    )
    revision: str | None = Field(
        default=None, description="of weights on the hub: a commit, 40 hexadecimal digits"
    )
    precision: Precision = Field(default="auto", description=PRECISION_TEXT)
    batch_size: int = Field(
        default=1, ge=1, description="frames a network gets at once; changes results in the last bits"
    )

    @field_validator("revision")
    @classmethod
    def _a_commit(cls, value: str | None) -> str | None:
        if value is not None and not _COMMIT.fullmatch(value):
            raise ValueError(f"expected a commit of 40 hexadecimal digits (branches move), given {value!r}")
        return value

    def stream(self) -> StreamKind:
        """Frame by frame, or as the detector says."""
        return self._detector.stream(self)

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """Refuse what the detector cannot do, and weights that nothing would use."""
        del inputs
        faults = self._detector.check(self)
        if self.weights is not None and not self._detector.takes_weights:
            expected = f"detector {listing([name for name, one in detectors().items() if one.takes_weights])}"
            faults.append(Fault("params.weights", f"with detector {self.detector}", expected, self.weights))
        if not self._detector.takes_weights:
            faults.extend(self._idle_precision(f"detector {self.detector}", "the detector of a network"))
        if self.revision is not None and self.weights is None:
            faults.append(Fault("params.revision", "without weights", "both", self.revision))
        return faults

    def files(self, ctx: RunContext) -> Mapping[str, Path]:
        """The weights, if they are local. On the hub a commit says which they are."""
        del ctx
        if self.revision is not None or self._weights is None:
            return {}
        return self._detector.files(self._weights)

    def key_params(self, files: Collection[str]) -> dict[str, Json]:
        """The params, the checksum of weights that a name stands for, and what the detector runs by."""
        params = super().key_params(files)
        if self._detector.runs_by is None:
            return params
        library = self._detector.runs_by[0]
        return {**params, "runs_by": f"{library} {library_version(library)}"}

    @property
    def _detector(self) -> Detector:
        return detectors()[self.detector]

    @property
    def _weights(self) -> str | None:
        return self.weights or self._detector.default_weights

    @property
    def _role(self) -> Role[Any] | None:
        return self._detector.role

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        """Annotate each frame."""
        return self._detector.annotate(ctx, frames, self)


Annotate.__doc__ = described(Annotate.__doc__ or "", "[detectors]")
