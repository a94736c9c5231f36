"""Paint a colour where a mask is white."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Reads, Resample, StreamInfo, StreamKind
from flowsynth.operators.picture._align import (
    aligned_info,
    aligned_reads,
    check_aligned,
    frame_beside,
    render_each,
)
from flowsynth.operators.shared.colors import Color, as_channels
from flowsynth.values import Frames, Mask
from flowsynth.values.clip import Clip

if TYPE_CHECKING:
    from torch import Tensor


class Fill(Operator):
    """Paint one colour where a mask is white, so that an encoder does not see what was there.

    Inputs:
        frames: T, C, H, W of any size and dtype.
        mask: a mask, or frames whose BT.601 luma counts, in T frames or one. Brought to the size of `frames`
            by its mean over each pixel.

    Output:
        Frames like `frames`; grey ones get the colour's luma, alpha becomes opaque under it.

    Errors:
        RequestError: a mask of another length, or that is neither mask nor frames.
    """

    op: ClassVar[str] = "fill"
    version: ClassVar[int] = 1
    same_size: ClassVar[str] = "frames"
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    color: Color = Field(default="#808080", description="such as white or #ffcc00")

    def stream(self) -> StreamKind:
        """Frame by frame, but for a mask that is held."""
        return Resample()

    def output_info(self, inputs: Mapping[str, StreamInfo]) -> StreamInfo:
        """As long as the frames."""
        return aligned_info(self.op, inputs)

    def reads(self, start: int, stop: int, inputs: Mapping[str, StreamInfo]) -> Reads:
        """The same frames."""
        return aligned_reads(start, stop, inputs)

    def run(self, ctx: RunContext, /, *, frames: Frames, mask: Clip) -> Frames:
        """Paint each frame."""
        from flowsynth.functional.picture.composite import to_channels, with_mask
        from flowsynth.functional.picture.layout import area

        check_aligned(self.op, {"frames": frames, "mask": mask})
        if not isinstance(mask, (Frames, Mask)):
            raise RequestError(f"fill: mask: expected Mask or Frames, given {type(mask).__name__}")
        colour = as_channels(self.color, frames.frame_shape[0])

        def render(frame: Tensor, index: int) -> Tensor:
            held = to_channels(frame_beside(mask, index, ctx.device), 1)
            weight = area(held, (frame.shape[-2], frame.shape[-1])).clamp(0, 1)
            return with_mask(frame, colour.to(frame).view(1, -1, 1, 1).expand_as(frame), weight)

        return render_each(ctx, frames, render)
