"""Estimate the motion between neighbouring frames."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from pydantic import Field

from flowsynth.core.canonical import Json
from flowsynth.core.context import RunContext
from flowsynth.core.operator import Operator
from flowsynth.core.streams import StreamKind, Window
from flowsynth.nets.registry import networks_code
from flowsynth.nets.roles import MOTION
from flowsynth.operators.motion._motion import Estimator, load_estimator, motion_weights
from flowsynth.operators.shared.weights import with_checksum
from flowsynth.values import Flow, Frames, Mask
from flowsynth.values.frames import as_float, as_rgb

if TYPE_CHECKING:
    import torch

    from flowsynth.functional.motion.flow_smooth import Estimate


class Motion(NamedTuple):
    """What `OpticalFlow` gives."""

    flow: Flow
    occlusion: Mask


class OpticalFlow(Operator):
    """Estimate where each pixel of a frame is in the next one, or was in the one before.

    The methods:

    - ``classical``: Lucas and Kanade's method on local contrast, coarse to fine; needs no download, follows
      motion of up to about a third of the frame, and is blind to flicker of brightness.
    - ``spynet``: the network SPyNet (Ranjan and Black 2017) as trained with BasicVSR; the weights
      ``basicvsr-reds4`` are fetched at first use. The surer at the edges of what moves.

    Occlusion is found by estimating both directions: a pixel whose flow is not undone by the flow back
    (Sundaram, Brox and Keutzer 2010), or leads out of the frame, is occluded.

    Inputs:
        frames: T, C, H, W of any dtype.

    Outputs:
        flow: T, 2, H, W float32, (dx, dy) in pixels. A frame without a neighbour has zero flow.
        occlusion: T, 1, H, W float32, 1 where the neighbour does not show the pixel; all 1 where there is no
            neighbour.
    """

    op: ClassVar[str] = "optical_flow"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("torch",)
    uses: ClassVar[tuple[object, ...]] = networks_code(MOTION)

    method: Estimator = Field(default="classical", description="how motion is estimated")
    direction: Literal["next", "previous"] = Field(
        default="next", description="the neighbour that the flow leads to"
    )

    def stream(self) -> StreamKind:
        """A frame and its neighbour."""
        return Window(0, 1) if self.direction == "next" else Window(1, 0)

    def key_params(self, files: Collection[str]) -> dict[str, Json]:
        """The params, and the checksum of the network's weights."""
        weights = motion_weights(self.method)
        own = super().key_params(files)
        return with_checksum({**own, "weights": weights}, weights) if weights else own

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Motion:
        """Estimate the motion of the frames asked for."""
        import torch

        start = ctx.span.lead if ctx.span else 0
        stop = start + ctx.span.count if ctx.span else frames.num_frames
        step = 1 if self.direction == "next" else -1
        estimate = load_estimator(ctx, self.method)
        flows, hidden = [], []
        for i in range(start, stop):
            ctx.progress(i - start, stop - start)
            flow, occluded = _motion(frames, i, i + step, ctx.device, estimate)
            flows.append(flow)
            hidden.append(occluded)
        if not flows:
            empty = torch.empty(0, 2, frames.height, frames.width)
            return Motion(Flow(empty, fps=frames.fps), Mask(empty[:, :1], fps=frames.fps))
        return Motion(Flow(torch.cat(flows), fps=frames.fps), Mask(torch.cat(hidden), fps=frames.fps))


def _motion(
    frames: Frames, index: int, other: int, device: str, estimate: Estimate
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the flow from one frame to another and its occlusion, on the frames' own device."""
    import torch

    from flowsynth.functional.motion.optical_flow import occlusion

    own = frames.frame(index)
    if not 0 <= other < frames.num_frames:
        zero = torch.zeros(1, 2, *own.shape[-2:], device=own.device)
        return zero, torch.ones_like(zero[:, :1])
    pair = torch.stack((own, frames.frame(other))).to(device)
    pair = as_rgb(as_float(pair))
    both = estimate(pair, pair.flip(0))
    forward, backward = both[:1], both[1:]
    return forward.to(own.device), occlusion(forward, backward).to(own.device)
