"""Mix two clips by a mask."""

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
from flowsynth.values import Frames, Mask
from flowsynth.values.clip import Clip

if TYPE_CHECKING:
    from torch import Tensor


class BlendMask(Operator):
    """Show one clip where a mask is black and another where it is white, mixed in between.

    Inputs:
        frames: T, C, H, W of any size and dtype; shown where the mask is 0.
        over: shown where the mask is 1; the size of `frames`, and brought to its channels. T frames, or a
            picture that is held.
        mask: a mask, or frames whose BT.601 luma counts (a control map, a picture), in T frames or one.
            Brought to the size of `frames` by its mean over each pixel.

    Output:
        Frames like `frames`. Where the mask is exactly 0 or 1 they are the very pixels of their clip.

    Errors:
        RequestError: clips of other lengths or sizes; a mask that is neither mask nor frames.
    """

    op: ClassVar[str] = "blend_mask"
    version: ClassVar[int] = 1
    same_size: ClassVar[str] = "frames"
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    feather: float = Field(
        default=0.0, ge=0, le=500, description="softens the mask's edges: a Gaussian's sigma, pixels"
    )
    invert: bool = Field(default=False, description="exchange black and white of the mask")
    strength: float = Field(default=1.0, ge=0, le=1, description="how much of the other clip white shows")

    def stream(self) -> StreamKind:
        """Frame by frame, but for pictures that are held."""
        return Resample()

    def output_info(self, inputs: Mapping[str, StreamInfo]) -> StreamInfo:
        """As long as the frames."""
        return aligned_info(self.op, inputs)

    def reads(self, start: int, stop: int, inputs: Mapping[str, StreamInfo]) -> Reads:
        """The same frames."""
        return aligned_reads(start, stop, inputs)

    def run(self, ctx: RunContext, /, *, frames: Frames, over: Frames, mask: Clip) -> Frames:
        """Mix each frame."""
        from flowsynth.functional.picture.composite import to_channels, with_mask

        self._check(frames, over, mask)

        def render(frame: Tensor, index: int) -> Tensor:
            other = to_channels(frame_beside(over, index, ctx.device), frame.shape[1])
            return with_mask(frame, other, self._weight(frame, frame_beside(mask, index, ctx.device)))

        return render_each(ctx, frames, render)

    def _check(self, frames: Frames, over: Frames, mask: Clip) -> None:
        check_aligned(self.op, {"frames": frames, "over": over, "mask": mask})
        if not isinstance(mask, (Frames, Mask)):
            raise RequestError(f"blend_mask: mask: expected Mask or Frames, given {type(mask).__name__}")
        if (frames.height, frames.width) != (over.height, over.width):
            raise RequestError(
                f"blend_mask: over: expected the size of frames, {frames.width}x{frames.height}, given "
                f"{over.width}x{over.height}; resize brings it there"
            )

    def _weight(self, frame: Tensor, mask: Tensor) -> Tensor:
        """Bring a mask to one channel and the size of the frame; soften, turn and scale it."""
        from flowsynth.functional.picture.blur import gaussian_blur
        from flowsynth.functional.picture.composite import to_channels
        from flowsynth.functional.picture.layout import area

        weight = area(to_channels(mask, 1), (frame.shape[-2], frame.shape[-1])).clamp(0, 1)
        if self.feather > 0:
            weight = gaussian_blur(weight, self.feather, border="replicate").clamp(0, 1)
        return (1 - weight if self.invert else weight) * self.strength
