"""Smooth a clip along time."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Scan, StreamKind, Window
from flowsynth.values import Frames, Tensors

if TYPE_CHECKING:
    from torch import Tensor


class TemporalSmooth(Operator):
    """Take flicker out of a clip by looking at neighbouring frames.

    The methods:

    - ``gaussian``: average under a Gaussian of `sigma` frames, cut at `radius`; weights are renormalised
      where the clip ends. Calms noise, and blurs what moves.
    - ``median``: median of each pixel within `radius`; removes flashes of up to `radius` frames. Where the
      clip's end leaves an even number of frames the two middle values are averaged.
    - ``exponential``: y[t] = y[t-1] + alpha (x[t] - y[t-1]), y[0] = x[0]; needs no frames ahead.
    - ``histogram``: every channel gets the Gaussian-weighted mean of the quantile functions of the frames
      within `radius` (midway equalisation, Delon 2004), or with `match: moments` their mean and standard
      deviation. Takes flicker of brightness and colour out and leaves motion sharp; give it a radius of 4
      or more. Across a cut the tones of the two shots mix.

    A clip cut into chunks gives the same bits as the whole.

    Inputs:
        frames: T, C, H, W of any length, size and dtype.

    Output:
        Frames like the input; uint8 is rounded once, at the end.
    """

    op: ClassVar[str] = "temporal_smooth"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    method: Literal["gaussian", "median", "exponential", "histogram"] = Field(
        "gaussian", description="how neighbours are combined"
    )
    radius: int = Field(2, ge=0, le=120, description="neighbours on either side, frames; not for exponential")
    sigma: float | None = Field(
        None, gt=0, le=1000, description="gaussian, histogram: spread in frames; null takes half the radius"
    )
    alpha: float = Field(0.5, gt=0, le=1, description="exponential: share of the new frame")
    match: Literal["quantiles", "moments"] = Field(
        "quantiles", description="histogram: whole tone curves, or gain and offset only"
    )

    def stream(self) -> StreamKind:
        """A window of neighbours, or for ``exponential`` a state handed on."""
        return Scan() if self.method == "exponential" else Window(self.radius, self.radius)

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        """Smooth the frames asked for."""
        from flowsynth.values.frames import as_float

        ctx.check_cancelled()
        data = as_float(frames.tensor.to(ctx.device))
        if self.method == "exponential":
            smoothed = self._scan(ctx, data)
        else:
            start = ctx.span.lead if ctx.span else 0
            stop = start + ctx.span.count if ctx.span else frames.num_frames
            smoothed = self._window(data, start, stop)
        return frames.like(smoothed.to(frames.parts[0].device))

    def _window(self, data: Tensor, start: int, stop: int) -> Tensor:
        from flowsynth.functional import deflicker, smooth

        sigma = self.sigma if self.sigma is not None else max(self.radius / 2, 0.5)
        if self.method == "median":
            return smooth.median(data, start, stop, radius=self.radius)
        if self.method == "histogram":
            return deflicker.histogram(data, start, stop, radius=self.radius, sigma=sigma, match=self.match)
        return smooth.gaussian(data, start, stop, radius=self.radius, sigma=sigma)

    def _scan(self, ctx: RunContext, data: Tensor) -> Tensor:
        from flowsynth.functional.smooth import exponential

        before = None if ctx.state is None else ctx.state.tensors["previous"].to(data.device)
        smoothed, after = exponential(data, alpha=self.alpha, state=before)
        if after is not None:
            ctx.state = Tensors({"previous": after})
        return smoothed
