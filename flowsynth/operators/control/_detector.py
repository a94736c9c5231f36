"""What `annotate` asks of a detector."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, InputError
from flowsynth.core.keys import library_version
from flowsynth.core.streams import Map, StreamKind
from flowsynth.nets.roles import Role
from flowsynth.operators.shared.frames import map_frames
from flowsynth.operators.shared.weights import Precision, weight_files
from flowsynth.values import Frames
from flowsynth.values.frames import as_rgb

if TYPE_CHECKING:
    from torch import Tensor

#: From frames (N, 3, H, W), RGB in [0, 1], to a map (N, 1 or 3, H, W) in [0, 1].
Render: TypeAlias = Callable[["Tensor"], "Tensor"]
_NAMED_TEXT = "a local path, or a place on the hub beside its commit as revision"


class DetectorParams(Protocol):
    """Parameters of `annotate`; a detector reads those that concern it."""

    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def color(self) -> bool: ...
    @property
    def sigma(self) -> float | None: ...
    @property
    def levels(self) -> int: ...
    @property
    def score(self) -> float: ...
    @property
    def most(self) -> int: ...
    @property
    def steady(self) -> float: ...
    @property
    def weights(self) -> str | None: ...
    @property
    def revision(self) -> str | None: ...
    @property
    def precision(self) -> Precision: ...
    @property
    def batch_size(self) -> int: ...


class Kind(Enum):
    """Where a detector's weights come from; detectors of a kind stand together on the page."""

    PLAIN = "The detectors:"
    FETCHED = (
        "The others are trained networks. These fetch their weights at first use, or take what `weights`"
        " names:"
    )
    PEOPLE = (
        "MediaPipe's models find people. LiteRT runs them (``pip install 'flowsynth-engine[litert]'``), on"
        " the CPU wherever the node is placed. A frame without people gives a black map."
    )
    NAMED = (
        "For these no package holds weights, so `weights` must name some: a local path, or a place on the hub"
        " with its commit as `revision`."
    )


class Detector:
    """A kind of control map. A file of `detectors` has one, as ``DETECTOR``, and its docstring for the page.

    Attributes:
        kind: where its weights come from.
        role: of the network that it loads.
        default_weights: a name of the catalogue, where it has some.
        runs_by: distribution that it alone runs by, whose version counts, and how it is installed.
    """

    kind: ClassVar[Kind] = Kind.PLAIN
    role: ClassVar[Role[Any] | None] = None
    default_weights: ClassVar[str | None] = None
    runs_by: ClassVar[tuple[str, str] | None] = None

    @property
    def name(self) -> str:
        """How graphs call it: the name of its file."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def takes_weights(self) -> bool:
        """Whether the user may choose its weights, and how many frames its network gets at once."""
        return self.kind in (Kind.FETCHED, Kind.NAMED)

    def open(self, ctx: RunContext, params: DetectorParams) -> Render:
        """Load what is needed, and return the function that finds the map of frames."""
        raise NotImplementedError(f"{type(self).__qualname__} has no open()")

    def annotate(self, ctx: RunContext, frames: Frames, params: DetectorParams) -> Frames:
        """Return the maps of a clip, or of the chunk of it that `ctx` says."""
        detect = self.open(ctx, params)
        batch = params.batch_size if self.takes_weights else 1
        return map_frames(ctx, frames, lambda x: as_rgb(detect(as_rgb(x))), kind=self.name, batch=batch)

    def stream(self, params: DetectorParams) -> StreamKind:
        """How a map depends on the frames around it."""
        del params
        return Map()

    def check(self, params: DetectorParams) -> list[Fault]:
        """What of the parameters it cannot take, and what it lacks, before a run."""
        faults, given = [], params.weights
        if given is None and self.kind is Kind.NAMED:
            faults.append(Fault("params.weights", f"missing for detector {self.name}", _NAMED_TEXT))
        if self.runs_by is not None and library_version(self.runs_by[0]) == "absent":
            faults.append(Fault("params.detector", f"needs {self.runs_by[0]}", self.runs_by[1], self.name))
        return faults

    def files(self, weights: str) -> Mapping[str, Path]:
        """Local files that the weights are, by parameter; they enter the key by content."""
        return weight_files(weights)

    def weights_of(self, params: DetectorParams) -> str:
        """The weights to take.

        Raises:
            InputError: there are none; a graph is refused for it before a run.
        """
        found = params.weights or self.default_weights
        if found is None:
            expected = f"missing for detector {self.name}; expected {_NAMED_TEXT}"
            raise InputError(f"params.weights: {expected}")
        return found

    def checkpoint(self, ctx: RunContext, params: DetectorParams) -> str:
        """A name of the catalogue, or the checkpoint file, fetched from the hub if need be."""
        from flowsynth.operators.control._hub import hub_checkpoint

        weights = self.weights_of(params)
        if params.revision is None:
            return weights
        return str(hub_checkpoint(weights, params.revision, offline=ctx.offline))
