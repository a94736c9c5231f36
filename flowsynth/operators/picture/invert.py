"""Exchange light and dark."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from flowsynth.core.context import RunContext
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Map, StreamKind
from flowsynth.operators.shared.frames import map_frames
from flowsynth.values import Frames

if TYPE_CHECKING:
    from torch import Tensor


class Invert(Operator):
    """Show the negative: 1 - x of each colour, so that black lines on white become white on black.

    Inputs:
        frames: T, C, H, W of any size and dtype; C is 1, 3 or 4, alpha stays.

    Output:
        Frames like the input.
    """

    op: ClassVar[str] = "invert"
    version: ClassVar[int] = 1
    same_size: ClassVar[str] = "frames"
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    def stream(self) -> StreamKind:
        """Frame by frame."""
        return Map()

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        """Turn each frame around."""
        import torch

        def render(frame: Tensor) -> Tensor:
            if frame.shape[1] != 4:
                return 1 - frame
            return torch.cat((1 - frame[:, :3], frame[:, 3:]), dim=1)

        return map_frames(ctx, frames, render)
