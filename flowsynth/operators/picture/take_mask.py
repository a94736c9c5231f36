"""Make a mask out of frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, RequestError
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Map, StreamKind
from flowsynth.operators.shared.frames import map_frames
from flowsynth.values import Frames

if TYPE_CHECKING:
    from torch import Tensor

_CHANNELS = ("red", "green", "blue", "alpha")


class TakeMask(Operator):
    """Make a grey mask out of frames: one channel, turned around, cut at a threshold, grown, softened.

    All of it is in this order. Growing takes the greatest value within `grow` pixels, a negative number the
    least; with `taper` the reach is a diamond, so that corners are rounded off, else a square. It is what
    `denoise` takes at its port ``mask``, and `blend_mask` and `fill` at theirs.

    Inputs:
        frames: T, C, H, W of any size and dtype; C is 1, 3 or 4.

    Output:
        Frames of T, 1, H, W in the input's dtype; white is where it holds.

    Errors:
        RequestError: alpha of frames that have none.
    """

    op: ClassVar[str] = "take_mask"
    version: ClassVar[int] = 1
    same_size: ClassVar[str] = "frames"
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    channel: Literal["luma", "red", "green", "blue", "alpha"] = Field(
        default="luma", description="what counts; grey frames have the same in red, green and blue"
    )
    invert: bool = Field(default=False, description="exchange black and white")
    threshold: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="white from this value on, black below; null keeps what is between",
    )
    grow: int = Field(default=0, ge=-512, le=512, description="reach of white beyond its edge, pixels")
    taper: bool = Field(default=False, description="grow: round corners off")
    soften: float = Field(default=0.0, ge=0, le=500, description="a Gaussian's sigma at the end, pixels")

    def stream(self) -> StreamKind:
        """Frame by frame."""
        return Map()

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """Refuse a shape of what does not grow."""
        del inputs
        if not self.taper or self.grow:
            return []
        return [Fault("params.taper", "nothing grows", "grow beside it", "taper: true")]

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        """Make each frame's mask."""
        from flowsynth.functional.picture.blur import gaussian_blur
        from flowsynth.functional.picture.reach import grown

        if self.channel == "alpha" and frames.frame_shape[0] != 4:
            raise RequestError(
                f"take_mask: channel: alpha; the frames have {frames.frame_shape[0]} channels, none of alpha"
            )

        def render(frame: Tensor) -> Tensor:
            mask = self._channel(frame)
            if self.invert:
                mask = 1 - mask
            if self.threshold is not None:
                mask = (mask >= self.threshold).to(mask.dtype)
            mask = grown(mask, self.grow, taper=self.taper)
            return gaussian_blur(mask, self.soften, border="replicate") if self.soften > 0 else mask

        return map_frames(ctx, frames, render)

    def _channel(self, frame: Tensor) -> Tensor:
        from flowsynth.functional.picture.composite import to_channels

        if self.channel == "luma":
            return to_channels(frame, 1)
        index = _CHANNELS.index(self.channel)
        return frame[:, index : index + 1] if frame.shape[1] > 1 else frame
