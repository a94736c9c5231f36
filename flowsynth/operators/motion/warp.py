"""Bring neighbouring frames into place along the motion."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.core.operator import Operator
from flowsynth.core.streams import StreamKind, Window
from flowsynth.values import Flow, Frames


class Warp(Operator):
    """Show each frame's neighbour as seen from the frame itself.

    Output frame t is the neighbour read at x + flow[t](x), bilinearly, with the border repeated. With the
    flow of ``optical_flow`` it differs from frame t only by what flickers or is occluded.

    Inputs:
        frames: T, C, H, W of any dtype.
        flow: T, 2, H, W in pixels, from each frame to its neighbour.

    Output:
        Frames like the input. A frame without a neighbour stays as it is.

    Errors:
        RequestError: a flow of another length or size.
    """

    op: ClassVar[str] = "warp"
    version: ClassVar[int] = 1
    same_size: ClassVar[str] = "frames"
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    direction: Literal["next", "previous"] = Field(
        default="next", description="the neighbour that the flow leads to"
    )

    def stream(self) -> StreamKind:
        """A frame and its neighbour."""
        return Window(0, 1) if self.direction == "next" else Window(1, 0)

    def run(self, ctx: RunContext, /, *, frames: Frames, flow: Flow) -> Frames:
        """Warp onto the frames asked for."""
        import torch

        from flowsynth.functional.motion.optical_flow import warp
        from flowsynth.values.frames import as_float

        sizes = [(clip.num_frames, *clip.frame_shape[-2:]) for clip in (frames, flow)]
        if sizes[0] != sizes[1]:
            given = " and ".join(f"{count} of {width}x{height}" for count, height, width in sizes)
            raise RequestError(f"warp: frames and flow must agree in length and size, given {given}")
        start = ctx.span.lead if ctx.span else 0
        stop = start + ctx.span.count if ctx.span else frames.num_frames
        step, out = 1 if self.direction == "next" else -1, []
        for i in range(start, stop):
            ctx.progress(i - start, stop - start)
            inside = 0 <= i + step < frames.num_frames
            neighbour = as_float(frames.frame(i + step if inside else i)[None].to(ctx.device))
            moved = warp(neighbour, flow.frame(i)[None].to(ctx.device).float()) if inside else neighbour
            out.append(frames.like(moved.to(frames.parts[0].device)).tensor)
        return frames.with_data(torch.cat(out)) if out else frames.slice(0, 0)
