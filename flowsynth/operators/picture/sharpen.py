"""Sharpen frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Map, StreamKind
from flowsynth.operators.shared.frames import map_frames
from flowsynth.values import Frames

if TYPE_CHECKING:
    from torch import Tensor


class Sharpen(Operator):
    """Sharpen by an unsharp mask: add what a Gaussian blur takes away, times `amount`.

    Detail up to `threshold` is left alone, so that noise and compression blocks aren't lifted; the gain
    sets in softly there. By default the detail of the luma is added to all channels, which leaves no
    coloured fringes. Alpha stays.

    Inputs:
        frames: T, C, H, W of any size and dtype; C is 1, 3 or 4.

    Output:
        Frames like the input, clipped to the range.
    """

    op: ClassVar[str] = "sharpen"
    version: ClassVar[int] = 1
    same_size: ClassVar[str] = "frames"
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    amount: float = Field(default=0.6, ge=0, le=10, description="gain on the detail; 0 changes nothing")
    sigma: float = Field(default=1.0, gt=0, le=100, description="of the blur, pixels: the size of the detail")
    threshold: float = Field(default=0.0, ge=0, le=1, description="detail left alone; 1 is black to white")
    channels: Literal["luma", "colour"] = Field(
        default="luma", description="whose detail: the luma's, or each channel's"
    )

    def stream(self) -> StreamKind:
        """Frame by frame."""
        return Map()

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        """Sharpen each frame."""
        from flowsynth.functional.picture.tone import unsharp

        def render(frame: Tensor) -> Tensor:
            return unsharp(
                frame,
                sigma=self.sigma,
                amount=self.amount,
                threshold=self.threshold,
                colour=self.channels == "colour",
            )

        return map_frames(ctx, frames, render)
