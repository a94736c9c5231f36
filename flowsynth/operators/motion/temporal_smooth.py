"""Smooth a clip along time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from flowsynth.core.canonical import Json
from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, RequestError
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Reads, Resample, Scan, StreamInfo, StreamKind, Window
from flowsynth.functional.cut.threshold import CUT, CUT_TEXT
from flowsynth.nets.registry import networks_code
from flowsynth.nets.roles import MOTION
from flowsynth.operators.motion._motion import Estimator, load_estimator, motion_weights
from flowsynth.operators.motion._patchmatch import (
    ITERATIONS_TEXT,
    PATCH_TEXT,
    SEED_TEXT,
    TRACKING_TEXT,
    Iterations,
    Patch,
)
from flowsynth.operators.shared.weights import with_checksum
from flowsynth.values import Frames, Tensors

if TYPE_CHECKING:
    from torch import Tensor


_GUIDED = ("fastblend", "flow")


class _Part(NamedTuple):
    """What is smoothed at once: frames of one shot, their guide, which are wanted, and the tree's phases."""

    data: Tensor
    guide: Tensor
    wanted: tuple[int, int]
    phases: tuple[int, int]


class TemporalSmooth(Operator):
    """Take flicker out of a clip by looking at neighbouring frames.

    The methods:

    - ``gaussian``: average under a Gaussian of `sigma` frames, cut at `radius`; weights are renormalised
      where the clip ends. Calms noise in what stands still, and leaves ghosts of what moves.
    - ``median``: median of each pixel within `radius`; removes flashes of up to `radius` frames. Where the
      clip's end leaves an even number of frames the two middle values are averaged.
    - ``exponential``: y[t] = y[t-1] + alpha (x[t] - y[t-1]), y[0] = x[0]; needs no frames ahead.
    - ``histogram``: every channel gets the Gaussian-weighted mean of the quantile functions of the frames
      within `radius` (midway equalisation, Delon 2004), or with `match: moments` their mean and standard
      deviation. Takes flicker of brightness and colour out and leaves motion sharp; give it a radius of 4
      or more.
    - ``fastblend``: the mean of the neighbours within `radius`, each first carried over to the frame by
      matching patches of the `guide` (FastBlend, arXiv 2311.09265). Takes flicker of any kind and size out
      of a stylised clip and follows motion; the costliest. A radius of 8 to 30 is usual. In `mode` fast a
      frame takes about 2 log2(radius) + 4 matchings, and more where a long radius meets short chunks; in
      the others twice the radius. `tracking` follows motion of many pixels a frame better.
    - ``flow``: the mean of the neighbours within `radius`, each warped onto the frame along the optical flow
      of the `guide`, where it shows the same thing (the flow back agrees, and so does the guide itself).
      Cheaper than fastblend at a radius of 1 to 4, a little softer, and only as good as the flow. `steady`
      evens out, over many more frames and at hardly any cost, by how much whole areas are lighter, darker or
      of another colour than in the guide: what a drawing flickers by most. What the guide does stays.

    Averaging softens grain, texture and what few frames show. So fastblend and flow change only what is
    coarser than `detail`: x + blur(y - x). Where fine lines themselves flicker, set it to 0.

    Shots are told apart (`cut`) on the guide, if there is one, else on the frames, and smoothed each by
    itself; so does a black frame stand alone. A clip redrawn with other noise in every frame comes close to
    cuts of its own: give it a guide. ``median`` and ``exponential`` look across cuts.

    A clip cut into chunks gives the same bits as the whole.

    Inputs:
        frames: T, C, H, W of any length, size and dtype.
        guide: for fastblend and flow, steady frames that show the same motion: the source of a stylised clip.
            As many as `frames`, of the same height and width. Without it the frames guide themselves, for
            fastblend brought to one brightness and contrast.

    Output:
        Frames like the input; uint8 is rounded once, at the end.
    """

    op: ClassVar[str] = "temporal_smooth"
    version: ClassVar[int] = 1
    same_size: ClassVar[str] = "frames"
    libraries: ClassVar[tuple[str, ...]] = ("torch", "triton")
    uses: ClassVar[tuple[object, ...]] = networks_code(MOTION)

    method: Literal["gaussian", "median", "exponential", "histogram", "fastblend", "flow"] = Field(
        default="flow", description="how neighbours are combined"
    )
    radius: int = Field(
        default=2, ge=0, le=120, description="neighbours on either side, frames; not for exponential"
    )
    sigma: float | None = Field(
        default=None,
        gt=0,
        le=1000,
        description="gaussian, histogram: spread in frames; null takes half the radius",
    )
    alpha: float = Field(default=0.5, gt=0, le=1, description="exponential: share of the new frame")
    match: Literal["quantiles", "moments"] = Field(
        default="quantiles", description="histogram: whole tone curves, or gain and offset only"
    )

    mode: Literal["fast", "balanced", "accurate"] = Field(
        default="fast", description="fastblend: blocks of frames in a tree, or every pair of frames"
    )
    patch: Patch = Field(default=5, description=f"fastblend: {PATCH_TEXT}")
    iterations: Iterations = Field(default=5, description=f"fastblend: {ITERATIONS_TEXT}")
    tracking: bool = Field(default=False, description=f"fastblend: {TRACKING_TEXT}")
    seed: int = Field(default=0, ge=0, description=f"fastblend: {SEED_TEXT}")

    steady: int = Field(
        default=0,
        ge=0,
        le=32,
        description="flow: neighbours on either side over which broad tones and colours are evened out",
    )
    detail: float = Field(
        default=2.0,
        ge=0,
        le=100,
        description="fastblend, flow: keep the frame's own detail up to this size, pixels; 0 smooths all",
    )
    estimator: Estimator = Field(default="classical", description="flow: of motion, as in optical_flow")
    motion_side: int = Field(
        default=384,
        ge=0,
        le=16384,
        description="flow: longer side at which motion is estimated, pixels; 0: the frames'",
    )
    cut: float = Field(default=CUT, ge=0, le=1, description=f"{CUT_TEXT}; not for median, exponential")

    def stream(self) -> StreamKind:
        """A window of neighbours, or for ``exponential`` a state handed on."""
        if self.method == "exponential":
            return Scan()
        # The blocks of fastblend's tree lie at fixed places of the clip: its geometry holds where a chunk is.
        return Resample() if self._in_tree else Window(self._reach, self._reach)

    @property
    def _reach(self) -> int:
        """How many frames on either side are looked at."""
        return max(self.radius, self.steady if self.method == "flow" else 0)

    @property
    def _in_tree(self) -> bool:
        return self.method == "fastblend" and self.mode == "fast"

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """Refuse a guide that would not be looked at, and a steadiness that nothing would bring."""
        if self.steady and self.method != "flow":
            return [Fault("params.steady", "not looked at", "method flow, or 0", f"method {self.method}")]
        if "guide" in inputs and self.method not in _GUIDED:
            expected = "method fastblend or flow, or no guide"
            return [Fault("inputs.guide", "not looked at", expected, f"method {self.method}")]
        return []

    def key_params(self, files: Collection[str]) -> dict[str, Json]:
        """The params, and the checksum of the weights that the method needs."""
        weights = motion_weights(self.estimator) if self.method == "flow" else None
        own = super().key_params(files)
        return with_checksum({**own, "weights": weights}, weights) if weights else own

    def reads(self, start: int, stop: int, inputs: Mapping[str, StreamInfo]) -> Reads:
        """The frames within the radius, and how they lie to the tree's blocks."""
        from flowsynth.functional.patchmatch.block_tree import phase_period

        lengths = {port: info.length for port, info in inputs.items()}
        if len(set(lengths.values())) > 1:
            raise RequestError(f"temporal_smooth: frames and guide must be equally long, given {lengths}")
        total, period = lengths["frames"], phase_period(self.radius)
        first, last = max(0, start - self._reach), min(total, stop + self._reach)
        geometry = [start - first, stop - first, first % period, (total - last) % period]
        return Reads(dict.fromkeys(inputs, (first, last)), list(geometry))

    def run(self, ctx: RunContext, /, *, frames: Frames, guide: Frames | None = None) -> Frames:
        """Smooth the frames asked for."""
        from flowsynth.values.frames import as_float

        ctx.check_cancelled()
        if self._reach == 0 and self.method != "exponential":
            return _asked(ctx, frames)
        data = frames.tensor.to(ctx.device)
        start = ctx.span.lead if ctx.span else 0
        stop = start + ctx.span.count if ctx.span else frames.num_frames
        start, stop = _numbers(ctx)[:2] or (start, stop)
        if self.method == "exponential":
            smoothed = self._scan(ctx, as_float(data))
        else:
            guiding = data if guide is None else _checked_guide(data, guide).to(ctx.device)
            smoothed = self._by_shots(ctx, data, guiding, start, stop)
        return frames.like(smoothed.to(frames.parts[0].device))

    def _by_shots(self, ctx: RunContext, data: Tensor, guide: Tensor, start: int, stop: int) -> Tensor:
        """Smooth the frames `start` to `stop`, each by its own shot."""
        import torch

        from flowsynth.functional.cut.shots import shots
        from flowsynth.functional.motion.deflicker import standardised

        # Patches of a clip that guides itself must not be told apart by the flicker to be taken out.
        steady = standardised(data) if guide is data and self.method == "fastblend" else guide
        parts = []
        for shot in shots(guide, 0 if self.method == "median" else self.cut):
            first, last = max(start, shot.start), min(stop, shot.stop)
            if first < last:
                part = _Part(
                    data[shot.start : shot.stop],
                    steady[shot.start : shot.stop],
                    (first - shot.start, last - shot.start),
                    self._phases(ctx, shot, len(data)),
                )
                parts.append(self._smoothed(ctx, part))
        return torch.cat(parts) if parts else data[:0].float()

    def _phases(self, ctx: RunContext, shot: range, length: int) -> tuple[int, int]:
        """Where a shot lies to the tree's blocks, from both ends of the clip."""
        from flowsynth.functional.patchmatch.block_tree import phase_period

        before, after = _numbers(ctx)[2:4] or (0, 0)
        period = phase_period(self.radius)
        return (before + shot.start) % period, (after + length - shot.stop) % period

    def _smoothed(self, ctx: RunContext, part: _Part) -> Tensor:
        """Smooth some frames of a shot."""
        from flowsynth.values.frames import as_float

        if self.method not in _GUIDED:
            return self._window(as_float(part.data), *part.wanted)
        if self.method == "flow":
            return self._along_flow(ctx, part)
        return self._with_own_detail(part.data[slice(*part.wanted)], self._fastblend(ctx, part))

    def _with_own_detail(self, own: Tensor, smoothed: Tensor) -> Tensor:
        """Take only the coarse part of what smoothing changed: x + blur(y - x)."""
        from flowsynth.functional.picture.blur import gaussian_blur
        from flowsynth.values.frames import as_float

        if not self.detail:
            return smoothed
        frames = as_float(own)
        return frames + gaussian_blur(smoothed - frames, self.detail)

    def _fastblend(self, ctx: RunContext, part: _Part) -> Tensor:
        from flowsynth.functional.patchmatch.fastblend import Remapper, fastblend
        from flowsynth.functional.patchmatch.search import MatchSettings

        settings = MatchSettings(patch=self.patch, iterations=self.iterations, seed=self.seed)
        remap = Remapper(part.guide, settings, lambda _: ctx.check_cancelled(), tracking=self.tracking)
        return fastblend(
            part.data, *part.wanted, window=self.radius, mode=self.mode, remap=remap, phases=part.phases
        )

    def _along_flow(self, ctx: RunContext, part: _Part) -> Tensor:
        from flowsynth.functional.motion.flow_smooth import Motion, along_motion
        from flowsynth.functional.motion.steady import steadied
        from flowsynth.values.frames import as_rgb

        guide = as_rgb(part.guide)
        motion = Motion(guide, load_estimator(ctx, self.estimator), self.motion_side)
        smoothed = along_motion(part.data, *part.wanted, radius=self.radius, motion=motion)
        own = self._with_own_detail(part.data[slice(*part.wanted)], smoothed)
        if not self.steady:
            return own
        toward = part.data if part.guide is part.data else guide
        return steadied(part.data, toward, own, *part.wanted, radius=self.steady, pair=motion.onward).clamp(
            0, 1
        )

    def _window(self, data: Tensor, start: int, stop: int) -> Tensor:
        from flowsynth.functional.motion import deflicker, smooth

        sigma = self.sigma if self.sigma is not None else max(self.radius / 2, 0.5)
        if self.method == "median":
            return smooth.median(data, start, stop, radius=self.radius)
        if self.method == "histogram":
            return deflicker.histogram(data, start, stop, radius=self.radius, sigma=sigma, match=self.match)
        return smooth.gaussian(data, start, stop, radius=self.radius, sigma=sigma)

    def _scan(self, ctx: RunContext, data: Tensor) -> Tensor:
        from flowsynth.functional.motion.smooth import exponential

        before = None if ctx.state is None else ctx.state.tensors["previous"].to(data.device)
        smoothed, after = exponential(data, alpha=self.alpha, state=before)
        if after is not None:
            ctx.state = Tensors({"previous": after})
        return smoothed


def _numbers(ctx: RunContext) -> tuple[int, ...]:
    """Return what `TemporalSmooth.reads` said: first and last frame, and the phases; else nothing."""
    geometry = ctx.span.geometry if ctx.span else None
    return tuple(int(str(number)) for number in geometry) if isinstance(geometry, list) else ()


def _asked(ctx: RunContext, frames: Frames) -> Frames:
    """Return the frames asked for as they are."""
    if ctx.span is None:
        return frames
    first, last = _numbers(ctx)[:2] or (ctx.span.lead, ctx.span.lead + ctx.span.count)
    return frames.slice(first, last)


def _checked_guide(data: Tensor, guide: Frames) -> Tensor:
    """Return the guide's frames.

    Raises:
        RequestError: they differ from the frames in length or size.
    """
    clips = data, guide.tensor
    if len({(len(clip), *clip.shape[-2:]) for clip in clips}) > 1:
        given = " and ".join(f"{len(x)} frames of {x.shape[-1]}x{x.shape[-2]}" for x in clips)
        raise RequestError(f"temporal_smooth: frames and guide must agree in length and size, given {given}")
    return clips[1]
