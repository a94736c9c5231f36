"""Change the frame rate."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from flowsynth.core.canonical import Json
from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, RequestError
from flowsynth.core.streams import Reads, Resample, StreamInfo, StreamKind
from flowsynth.functional.cut.threshold import CUT, CUT_TEXT
from flowsynth.nets.registry import networks_code
from flowsynth.nets.roles import INTERPOLATION, Role
from flowsynth.operators.motion._patchmatch import (
    ITERATIONS_TEXT,
    PATCH_TEXT,
    SEED_TEXT,
    TRACKING_TEXT,
    Iterations,
    Patch,
)
from flowsynth.operators.shared.weights import PRECISION_TEXT, TILE_TEXT, Precision, WeightedOperator
from flowsynth.operators.timing._keyframes import keyed_info, keyed_reads, render_keyed
from flowsynth.values import Frames

if TYPE_CHECKING:
    from torch import Tensor

    from flowsynth.functional.motion.rate import Position


_RIFE = "rife-v4"


class Interpolate(WeightedOperator):
    """Bring a clip to another frame rate, making the frames between.

    Output frame k is shown at k / fps, which falls between two source frames or on one; times are exact
    fractions, so that nothing drifts. The clip lasts as long as before: there are ceil(T x ratio) frames,
    and past the last source frame that frame is held.

    The methods:

    - ``blend``: mix the two neighbours linearly in time. Between two shots (`cut`) the nearer is shown.
    - ``rife``: move both neighbours along the motion between them and mix these, by the IFNet of RIFE 4
      (Huang et al., "Real-time intermediate flow estimation", arXiv 2011.06294). Its weights are fetched at
      first use. Between two shots (`cut`) the nearer frame is shown; fast motion is searched for more widely.
      Frames too large for memory pass in tiles (`tile`), with as much context as each part of the network
      sees, so tiles show nowhere.
    - ``fastblend``: `frames` are keyframes, renderings of every `factor`-th frame of a `guide`, its first
      included. A frame between is both keys around it, carried over by matching patches of the guide and
      mixed linearly in time (FastBlend, arXiv 2311.09265); past the last key, that key carried over. So a
      costly rendering of few frames becomes a clip that moves like its source. The result has the guide's
      length and rate. Where the guide is cut between a frame and a key, only the other key counts.
      ``interpolate factor: 1/4`` of a guide gives the frames to render for factor 4.

    A frame that falls on a source frame (of ``blend`` and ``rife``: or between two equal ones) is that frame,
    bit for bit.

    Inputs:
        frames: T, C, H, W of any length, size and dtype. `fps` needs frames that have a rate. Motion is
            found on the colours; alpha moves along.
        guide: for fastblend, the clip that the keyframes were rendered from, of their height and width.

    Output:
        Frames like the input at the new rate; uint8 is rounded.

    Errors:
        RequestError: a number or size of keyframes that does not belong to the guide.
        OfflineError: the weights are not in the cache and can't be fetched; says how to get them.
        InputError: `weights` is no file, or not one of RIFE 4.
    """

    op: ClassVar[str] = "interpolate"
    version: ClassVar[int] = 1
    same_size: ClassVar[str] = "frames"
    libraries: ClassVar[tuple[str, ...]] = ("torch", "triton")
    uses: ClassVar[tuple[object, ...]] = networks_code(INTERPOLATION)

    method: Literal["blend", "rife", "fastblend"] = Field(
        default="blend", description="how frames between are made"
    )
    factor: int | float | str | None = Field(
        default=None,
        description="new rate over old, such as 2, 2.5 or 5/2; 2 if no fps is given; fastblend: whole, "
        "frames from key to key",
    )
    fps: int | float | str | None = Field(
        default=None, description="new rate in frames a second, such as 30, 29.97 or 30000/1001"
    )

    cut: float = Field(default=CUT, ge=0, le=1, description=CUT_TEXT)
    refine: bool = Field(
        default=False, description="correct the mix by a second network, at twice the time (rife)"
    )
    weights: str | None = Field(
        default=None, description="a name that 'flowsynth weights list' prints, or a checkpoint file (rife)"
    )
    fallback: Literal["blend"] | None = Field(
        default=None,
        description="method to take if the weights can't be had; else the run ends with a message",
    )
    precision: Precision = Field(default="auto", description=PRECISION_TEXT)
    batch: int = Field(
        default=1,
        ge=1,
        le=64,
        description="rife: frames made together: quicker on a GPU, for as many times the memory",
    )
    tile: int | None = Field(default=None, ge=0, description=f"rife: {TILE_TEXT}")

    patch: Patch = Field(default=5, description=f"fastblend: {PATCH_TEXT}")
    iterations: Iterations = Field(default=5, description=f"fastblend: {ITERATIONS_TEXT}")
    tracking: bool = Field(default=False, description=f"fastblend: {TRACKING_TEXT}")
    seed: int = Field(default=0, ge=0, description=f"fastblend: {SEED_TEXT}")

    @field_validator("factor", "fps")
    @classmethod
    def _positive(cls, value: float | str | None) -> float | str | None:
        if value is not None and not 0 < _fraction(value) <= 1000:
            raise ValueError(f"expected a rate above 0 and at most 1000, given {value}")
        return value

    def stream(self) -> StreamKind:
        """An index map of its own."""
        return Resample()

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """Refuse a factor beside a rate, and weights or a guide that nothing would use."""
        faults = self._guide_faults(inputs)
        if self.factor is not None and self.fps is not None:
            given = f"factor {self.factor}, fps {self.fps}"
            faults.append(Fault("params.factor", "beside fps", "factor or fps", given))
        if self.weights is not None and self.method != "rife":
            faults.append(Fault("params.weights", f"with method {self.method}", "method rife", self.weights))
        if self.method != "rife":
            faults.extend(self._idle_precision(f"method {self.method}", "method rife"))
        return faults

    def _guide_faults(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """Fastblend needs a guide and whole steps; the others look at neither."""
        method = f"method {self.method}"
        if self.method != "fastblend":
            expected = "method fastblend, or no guide"
            return [Fault("inputs.guide", "not looked at", expected, method)] if "guide" in inputs else []
        faults = []
        if "guide" not in inputs:
            faults.append(Fault("inputs.guide", "missing", "the clip of the keyframes", method))
        if self.fps is not None or self._ratio(None).denominator != 1:
            name, value = ("fps", self.fps) if self.fps is not None else ("factor", self.factor)
            expected = "a whole factor: frames from key to key"
            faults.append(Fault(f"params.{name}", "no step of keyframes", expected, f"{value}, {method}"))
        return faults

    @property
    def _weights(self) -> str | None:
        kept = self.fps is None and self.factor is not None and _fraction(self.factor) == 1
        return (self.weights or _RIFE) if self.method == "rife" and not kept else None

    @property
    def _role(self) -> Role[Any]:
        return INTERPOLATION

    def output_info(self, inputs: Mapping[str, StreamInfo]) -> StreamInfo:
        """Length and rate after the change."""
        from flowsynth.functional.motion.rate import output_length

        source = inputs["frames"]
        ratio = self._ratio(source.fps)
        if self.method == "fastblend":
            return keyed_info(inputs, ratio.numerator)
        return StreamInfo(output_length(source.length, ratio), self._new_rate(source.fps))

    def reads(self, start: int, stop: int, inputs: Mapping[str, StreamInfo]) -> Reads:
        """The source frames around a run of output frames, and the mix of each."""
        from flowsynth.functional.motion.rate import positions, sources_of

        source = inputs["frames"]
        if self.method == "fastblend":
            return keyed_reads(start, stop, inputs, self._ratio(source.fps).numerator)
        moments = positions(range(start, stop), self._ratio(source.fps), source.length)
        needed = sources_of(moments)
        geometry: list[Json] = [[m.frame - needed.start, str(m.weight)] for m in moments]
        return Reads({"frames": (needed.start, needed.stop)}, geometry)

    def run(self, ctx: RunContext, /, *, frames: Frames, guide: Frames | None = None) -> Frames:
        """Render the output frames asked for."""
        from dataclasses import replace

        from flowsynth.operators.timing._rife import RifeSettings, frames_between

        ctx.check_cancelled()
        if self.method == "fastblend":
            return self._between_keys(ctx, frames, guide)
        moments = self._moments(ctx, frames)
        if self._weights is None:
            made = _blended(ctx, frames, moments, self.cut)
        else:
            settings = RifeSettings(
                self._weights, self.refine, self.cut, self.precision, self.batch, self.tile
            )
            made = frames.with_data(frames_between(ctx, frames, moments, settings))
        return replace(made, fps=self._new_rate(frames.fps))

    def _between_keys(self, ctx: RunContext, keys: Frames, guide: Frames | None) -> Frames:
        """Carry keyframes over to the guide's frames between them."""
        from dataclasses import replace

        from flowsynth.functional.patchmatch.search import MatchSettings

        faults = self.check({} if guide is None else {"guide": guide})
        if faults or guide is None:
            raise RequestError(f"interpolate: {faults[0]}")
        settings = MatchSettings(patch=self.patch, iterations=self.iterations, seed=self.seed)
        made = render_keyed(
            ctx,
            keys,
            guide,
            self._ratio(None).numerator,
            settings=settings,
            tracking=self.tracking,
            cut=self.cut,
        )
        return replace(keys.with_data(made), fps=guide.fps)

    def _moments(self, ctx: RunContext, frames: Frames) -> list[Position]:
        """Return where each output frame lies among the frames that came."""
        from flowsynth.functional.motion.rate import Position, output_length, positions

        if ctx.span is not None and isinstance(ctx.span.geometry, list):
            return [Position(int(frame), Fraction(weight)) for frame, weight in _pairs(ctx.span.geometry)]
        ratio = self._ratio(frames.fps)
        return positions(range(output_length(frames.num_frames, ratio)), ratio, frames.num_frames)

    def _ratio(self, source: Fraction | None) -> Fraction:
        """Return the new rate over the old."""
        if self.fps is None:
            return _fraction(2 if self.factor is None else self.factor)
        if source is None:
            raise RequestError("interpolate: params.fps needs frames with a rate; given pictures without one")
        return _fraction(self.fps) / source

    def _new_rate(self, source: Fraction | None) -> Fraction | None:
        return None if source is None else source * self._ratio(source)


def _blended(ctx: RunContext, frames: Frames, moments: list[Position], cut: float) -> Frames:
    """Mix neighbours linearly; across a cut take the nearer."""
    from flowsynth.functional.motion.blend import blend
    from flowsynth.values.frames import as_float

    source = frames.tensor.to(ctx.device)
    mixed = blend(as_float(source), _within_shots(source, moments, cut))
    return frames.like(mixed.to(frames.parts[0].device))


def _within_shots(source: Tensor, moments: list[Position], cut: float) -> list[Position]:
    """Move the moments that lie between two shots to the nearer frame."""
    from flowsynth.functional.cut.shots import same_shot
    from flowsynth.functional.motion.rate import Position

    together = {
        i: same_shot(source[i : i + 1], source[i + 1 : i + 2], cut)
        for i in {moment.frame for moment in moments if moment.weight}
    }
    return [
        m if together.get(m.frame, True) else Position(m.frame + (2 * m.weight >= 1), Fraction(0))
        for m in moments
    ]


def _fraction(value: float | str) -> Fraction:
    """Read a rate as people write it."""
    try:
        return Fraction(str(value)).limit_denominator(100_000)
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(f"expected a number or a fraction such as 30000/1001, given {value!r}") from error


def _pairs(geometry: list[Json]) -> list[tuple[str, str]]:
    """Read back what `Interpolate.reads` said."""
    return [(str(pair[0]), str(pair[1])) for pair in geometry if isinstance(pair, list)]
