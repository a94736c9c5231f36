"""Show clips beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Map, StreamKind
from flowsynth.operators.shared.frames import dtype_name
from flowsynth.values import Frames
from flowsynth.values.frames import as_dtype, as_float, as_rgb

if TYPE_CHECKING:
    from torch import Tensor


class SideBySide(Operator):
    """Lay clips in a row or a column, frame by frame, for comparing them.

    All take the first one's height (in a row) or width (in a column), by Lanczos. Grey becomes RGB, alpha is
    dropped.

    Inputs:
        frames: one or more of T, C, H, W with the same number of frames.

    Output:
        T, 3, H', W' in the first clip's dtype and rate.
    """

    op: ClassVar[str] = "side_by_side"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    direction: Literal["row", "column"] = Field(default="row", description="left to right, or top to bottom")
    gap: int = Field(default=4, ge=0, le=256, description="between clips, pixels")
    background: float = Field(default=1.0, ge=0, le=1, description="grey of the gaps, 0 black to 1 white")

    def stream(self) -> StreamKind:
        """Frame by frame."""
        return Map()

    def run(self, ctx: RunContext, /, *, frames: list[Frames]) -> Frames:
        """Lay out the frames asked for."""
        import torch

        lengths = [clip.num_frames for clip in frames]
        if len(set(lengths)) != 1:
            raise RequestError(f"side_by_side: frames: expected clips of one length, given {lengths} frames")
        dtype, rows = dtype_name(frames[0]), []
        for i in range(lengths[0]):
            ctx.progress(i, lengths[0])
            rows.append(as_dtype(self._row([clip.frame(i) for clip in frames]), dtype))
        if not rows:
            return frames[0]
        return Frames(torch.cat(rows), fps=frames[0].fps)

    def _row(self, pictures: list[Tensor]) -> Tensor:
        """Join one frame of each clip, `(1, 3, H', W')`."""
        import torch

        along = -1 if self.direction == "row" else -2
        cells = [as_rgb(as_float(picture[None])) for picture in pictures]
        cells = [self._fitted(cell, cells[0]) for cell in cells]
        shape = list(cells[0].shape)
        shape[along] = self.gap
        gap = cells[0].new_full(shape, self.background)
        return torch.cat([part for cell in cells for part in (gap, cell)][1:], dim=along)

    def _fitted(self, cell: Tensor, first: Tensor) -> Tensor:
        from flowsynth.functional.picture.resize import lanczos

        height, width = cell.shape[-2:]
        if self.direction == "row":
            size = first.shape[-2], max(1, round(width * first.shape[-2] / height))
        else:
            size = max(1, round(height * first.shape[-1] / width)), first.shape[-1]
        return cell if size == (height, width) else lanczos(cell, size)
