"""Lay frames out in one picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RunError
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Fold, StreamKind
from flowsynth.values import FileSet, Frames, Tensors
from flowsynth.values.frames import as_dtype, as_float, as_rgb

if TYPE_CHECKING:
    from torch import Tensor

_NAME = "contact_sheet.png"


class ContactSheet(Operator):
    """Make a PNG of evenly spaced frames of a clip, or of several clips side by side.

    The first and the last frame are among those shown. One clip fills a grid row by row, in as many
    columns as make the sheet about 3 : 2, or `columns`. Several clips get a column each, and the rows show
    the same moments. Frames are reduced to `height` with Lanczos (never enlarged); pictures count as clips
    of one frame.

    Inputs:
        frames: one or more of T, C, H, W; C is 1, 3 or 4 (alpha is dropped). Several clips have the same
            number of frames.

    Output:
        A file set with ``contact_sheet.png``, 8 bits a channel.
    """

    op: ClassVar[str] = "contact_sheet"
    version: ClassVar[int] = 1
    positional: ClassVar[bool] = True
    libraries: ClassVar[tuple[str, ...]] = ("torch", "pillow")

    count: int = Field(default=12, ge=1, le=1000, description="frames to show of each clip, or all there are")
    columns: int | None = Field(default=None, ge=1, le=1000, description="of the grid for one clip")
    height: int = Field(default=180, ge=1, le=4096, description="of a frame in the sheet, at most; pixels")
    margin: int = Field(default=4, ge=0, le=256, description="between frames and around the sheet, pixels")
    background: float = Field(default=1.0, ge=0, le=1, description="grey of the margins, 0 black to 1 white")

    def stream(self) -> StreamKind:
        """Pick frames segment by segment, then lay them out."""
        return Fold()

    def segment(self, ctx: RunContext, /, *, frames: list[Frames]) -> Tensors:
        """Reduce the frames of a segment that the sheet shows, `(k, 3, h, w)` uint8 for each clip."""
        import torch

        shown = {}
        for number, clip in enumerate(frames):
            picked = [self._thumbnail(clip.frame(i)) for i in self._picked(ctx, clip.num_frames)]
            if picked:
                shown[str(number)] = torch.stack(picked)
        return Tensors(shown)

    def combine(self, ctx: RunContext, parts: Sequence[Tensors], /, **inputs: Any) -> FileSet:
        """Lay the picked frames out and encode the sheet."""
        from flowsynth.functional.show.sheet import default_columns, sheet

        del inputs
        ctx.check_cancelled()
        clips = _by_clip(parts)
        if not clips:
            raise RunError("contact_sheet: frames: expected at least one frame, given none")
        if len(clips) == 1:
            cells = clips[0]
            columns = self.columns or default_columns(len(cells), *cells[0].shape[-2:])
        else:
            columns = len(clips)
            cells = [frame for row in zip(*clips, strict=True) for frame in row]
        laid = sheet(cells, columns, margin=self.margin, background=round(255 * self.background))
        return FileSet({_NAME: _png(laid)})

    def run(self, ctx: RunContext, /, *, frames: list[Frames]) -> FileSet:
        """Make the sheet of whole clips."""
        lengths = [clip.num_frames for clip in frames]
        if len(set(lengths)) > 1:
            raise RunError(f"contact_sheet: frames: expected clips of one length, given {lengths} frames")
        return self.combine(ctx, [self.segment(ctx, frames=frames)])

    def _picked(self, ctx: RunContext, length: int) -> list[int]:
        """Return which frames of the segment the sheet shows."""
        from flowsynth.functional.show.sheet import evenly_spaced

        span = ctx.span
        start, stop, total = (span.start, span.stop, span.total) if span else (0, length, length)
        return [i - start for i in evenly_spaced(self.count, total) if start <= i < stop]

    def _thumbnail(self, frame: Tensor) -> Tensor:
        from flowsynth.functional.picture.resize import lanczos

        rgb = as_rgb(as_float(frame[None].cpu()))
        height, width = rgb.shape[-2:]
        if height > self.height:
            rgb = lanczos(rgb, (self.height, max(1, round(width * self.height / height))))
        return as_dtype(rgb[0], "uint8")


def _by_clip(parts: Sequence[Tensors]) -> list[list[Tensor]]:
    """Collect each clip's frames over the segments."""
    numbers = sorted({int(name) for part in parts for name in part.tensors})
    return [
        [frame for part in parts if str(n) in part.tensors for frame in part.tensors[str(n)].unbind()]
        for n in numbers
    ]


def _png(picture: Tensor) -> bytes:
    """Encode `(3, H, W)` uint8."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy()).save(file, format="PNG")
    return file.getvalue()
