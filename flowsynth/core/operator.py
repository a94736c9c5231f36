"""The operator: one verb, its parameters, its ports and how it treats time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from flowsynth.core.canonical import Json
from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, FlowsynthError
from flowsynth.core.exact import exact_fields
from flowsynth.core.shipped import SHIPPED_PACKAGE, shipped_modules
from flowsynth.core.sizes import Size, Sizes
from flowsynth.core.spending import Spending
from flowsynth.core.streams import Reads, StreamInfo, StreamKind, Whole

#: Every operator class defined so far, by name; the registry looks here first.
DEFINED: dict[str, type[Operator]] = {}


class Operator(BaseModel):
    """Base of all operators.

    A subclass sets `op` and `version`, declares its parameters as pydantic fields, and writes `run`, whose
    keyword-only arguments are its input ports and whose return type is its output (a NamedTuple for several).

    Class attributes:
        op: the name in graphs.
        version: raise it when results change in a way the source does not show.
        deterministic: equal inputs give equal bytes.
        positional: the output may depend on where in the stream a chunk lies.
        io: reads files through a cursor; pinned to the I/O worker.
        uses: helpers that are chosen by name at run time, so that a static walk cannot see them:
            objects, or ``"module:symbol"`` strings; they enter the source fingerprint.
        libraries: distributions whose major.minor version enters the key; empty where only exact Python runs.
        whole_ports: temporal ports of a stream operator that get the whole value, not the chunk's frames.
        moved: parameters of earlier versions -> what to write today, told to who still writes them.
        model_parts: model port -> the parts of its model (``text``, ``vae``, ``denoiser``) that results
            depend on, so that another ControlNet does not encode the frames again; all unless named.
        same_size: port whose frames its own are as large as, if there is one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    op: ClassVar[str] = ""
    version: ClassVar[int] = 0
    deterministic: ClassVar[bool] = True
    positional: ClassVar[bool] = False
    io: ClassVar[bool] = False
    uses: ClassVar[tuple[object, ...]] = ()
    libraries: ClassVar[tuple[str, ...]] = ("torch",)
    whole_ports: ClassVar[tuple[str, ...]] = ()
    moved: ClassVar[Mapping[str, str]] = {}
    model_parts: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    same_size: ClassVar[str] = ""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Make the operator known by its name (a class without `op` is a base for others)."""
        super().__pydantic_init_subclass__(**kwargs)
        if "op" in cls.__dict__:
            _define(cls)

    def run(self, ctx: RunContext, /, *args: Any, **inputs: Any) -> Any:
        """Make the output (all of it, or `ctx.span`) from the inputs."""
        raise NotImplementedError(f"{type(self).__qualname__} has no run()")

    def stream(self) -> StreamKind:
        """How the output depends on the inputs along time, given the parameters."""
        return Whole()

    def stream_with(self, models: Mapping[str, object]) -> StreamKind:
        """The same in a graph, for an operator where that depends on a model too.

        Args:
            models: model port -> the declaration that feeds it (a list of them for a fan-in port). Nothing
                may be loaded for it: this is asked of every plan.
        """
        del models
        return self.stream()

    def output_info(self, inputs: Mapping[str, StreamInfo]) -> StreamInfo:
        """Length and rate of the output stream, from those of the temporal inputs.

        A resampling operator is told of every edge of a fan-in port: ``frames[0]``, ``frames[1]``...
        Map, window and scan operators keep the first input's length; a resampling operator overrides this.
        """
        return next(iter(inputs.values()))

    def reads(self, start: int, stop: int, inputs: Mapping[str, StreamInfo]) -> Reads:
        """What output frames ``start`` to ``stop`` of a resampling operator depend on."""
        raise NotImplementedError(f"{type(self).__qualname__} declares Resample and has no reads()")

    def probe(self, ctx: RunContext) -> StreamInfo:
        """Length and rate of a source's stream, without making any of it.

        Raises:
            InputError: the file is missing or cannot be what it should be.
        """
        raise NotImplementedError(f"{type(self).__qualname__} declares Source and has no probe()")

    def probe_size(self, ctx: RunContext) -> Size | None:
        """Width and height of the frames of a source, from its file; None where only reading it shows them.

        Raises:
            InputError: as for `probe`.
        """
        del ctx
        return None

    def segment(self, ctx: RunContext, /, *args: Any, **inputs: Any) -> Any:
        """One segment's value of a fold."""
        raise NotImplementedError(f"{type(self).__qualname__} declares Fold and has no segment()")

    def combine(self, ctx: RunContext, parts: Sequence[Any], /, **inputs: Any) -> Any:
        """The value of a fold, from its segments in order and its inputs that are not streams."""
        raise NotImplementedError(f"{type(self).__qualname__} declares Fold and has no combine()")

    def files(self, ctx: RunContext) -> Mapping[str, Path]:
        """Files that the parameters name, by parameter. They enter the key by content, never by path.

        May fetch a file that is named by a catalogue entry into `RunContext.cache_dir`.

        Raises:
            InputError: a file is missing.
        """
        del ctx
        return {}

    def resolve(self, ctx: RunContext, *, fetch: bool) -> Operator:
        """The operator that takes this one's place: itself, unless what it needs can't be had.

        Asked before anything else of a plan. What it notes is told to the user.

        Args:
            ctx: says the cache, and whether the network may be touched.
            fetch: a run follows, so what is missing may be downloaded; else assume that it could be.
        """
        del ctx, fetch
        return self

    def unread(self) -> Collection[str]:
        """Input ports that are left alone under these parameters; all optional.

        They count as not connected, so what feeds nothing else is not run.
        """
        return ()

    def key_params(self, files: Collection[str]) -> dict[str, Json]:
        """The parameters as they enter the key, by value: all that the operator holds but what `files` names.

        Raises:
            NoFormError: a value that no key can tell from others.
        """
        return exact_fields(self, files)

    def cacheable(self) -> bool:
        """Whether the result may be kept: False for a null seed, say."""
        return self.deterministic

    def spending(self) -> Spending | None:
        """What one run of it asks of a vendor for money; None where nothing is paid.

        What was paid for is always kept, unless the node says ``cache: never``.
        """
        return None

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """Faults that only the parameters together with the graph can show.

        Args:
            inputs: port -> what feeds it: a model spec for model ports, else the upstream operator.

        Returns:
            Faults with paths relative to the node, such as ``params.window``.
        """
        del inputs
        return []

    def frame_size(self, sizes: Sizes, /) -> Size | None:
        """Width and height of the frames that it gives, where params and sizes upstream show them.

        Args:
            sizes: port -> width and height of its frames, or None.
        """
        return sizes(self.same_size) if self.same_size else None

    def size_faults(self, sizes: Sizes, /) -> list[Fault]:
        """Faults that the sizes of its inputs show, like those of `check`; sizes are often not known.

        Args:
            sizes: port -> width and height of its frames, or None.
        """
        del sizes
        return []


def _define(cls: type[Operator]) -> None:
    # The last definition of a name wins among a user's own classes: a notebook cell run again.
    if cls.op in shipped_modules() and not cls.__module__.startswith(SHIPPED_PACKAGE + "."):
        raise FlowsynthError(
            f"{cls.__module__}.{cls.__qualname__}: {cls.op!r} is the name of a shipped operator"
        )
    DEFINED[cls.op] = cls
