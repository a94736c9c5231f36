"""Change the tones of frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Map, StreamKind
from flowsynth.operators.shared.frames import map_frames
from flowsynth.values import Frames

if TYPE_CHECKING:
    from torch import Tensor


class Contrast(Operator):
    """Change contrast, brightness, saturation and gamma, in this order: gamma first, saturation last.

    With x in [0, 1]: x^(1/gamma), then (x - 1/2) contrast + 1/2 + brightness, then the distance from
    BT.601 luma times saturation. What leaves the range is clipped. Alpha stays; grey has no saturation.

    Inputs:
        frames: T, C, H, W of any size and dtype; C is 1, 3 or 4.

    Output:
        Frames like the input.
    """

    op: ClassVar[str] = "contrast"
    version: ClassVar[int] = 1
    same_size: ClassVar[str] = "frames"
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    contrast: float = Field(default=1.0, ge=0, le=10, description="gain about middle grey; 0 gives grey")
    brightness: float = Field(default=0.0, ge=-1, le=1, description="added to every channel")
    saturation: float = Field(default=1.0, ge=0, le=10, description="gain on colour; 0 gives black and white")
    gamma: float = Field(
        default=1.0, ge=0.1, le=10, description="above 1 lifts the middle tones, below 1 lowers them"
    )

    def stream(self) -> StreamKind:
        """Frame by frame."""
        return Map()

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        """Adjust each frame."""
        from flowsynth.functional.picture.tone import adjust

        def render(frame: Tensor) -> Tensor:
            return adjust(
                frame,
                contrast=self.contrast,
                brightness=self.brightness,
                saturation=self.saturation,
                gamma=self.gamma,
            )

        return map_frames(ctx, frames, render)
