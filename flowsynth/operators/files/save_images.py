"""Save frames as picture files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Fold, StreamKind
from flowsynth.operators.files._media import to_arrays
from flowsynth.values import FileSet, Frames


class SaveImages(Operator):
    """Encode each frame as a picture file.

    Files are named ``PREFIX000000.png`` and on, by the frame's number. Equal frames give equal bytes.

    Inputs:
        frames: T, C, H, W; C is 1, 3 or 4 (alpha is dropped, grey is written as RGB).

    Output:
        The files. PNG, and WebP at quality 100, keep every bit of 8; `bits: 16` keeps floats in PNG.
    """

    op: ClassVar[str] = "save_images"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("pillow", "av")

    format: Literal["png", "jpeg", "webp"] = Field(default="png", description="of the files")
    quality: int = Field(default=95, ge=1, le=100, description="of JPEG and WebP; WebP is lossless at 100")
    bits: Literal[8, 16] = Field(default=8, description="a colour component, in PNG")
    prefix: str = Field(
        default="", pattern=r"^[\w\- ]*$", description="of the names; letters, digits, _, - and spaces"
    )
    start_number: int = Field(default=0, ge=0, description="number of the first file")

    def stream(self) -> StreamKind:
        """Encode runs of frames, then number them."""
        return Fold(16)

    def segment(self, ctx: RunContext, /, *, frames: Frames) -> FileSet:
        """Encode the frames of a segment, numbered from its start."""
        from flowsynth.media.pictures import encode_picture

        files = {}
        for k, picture in enumerate(to_arrays(frames, deep=self.bits == 16 and self.format == "png")):
            ctx.progress(k, frames.num_frames)
            files[f"{k:06d}"] = encode_picture(picture, self.format, quality=self.quality)
        return FileSet(files)

    def combine(self, ctx: RunContext, parts: Sequence[FileSet], /, **inputs: Any) -> FileSet:
        """Give the files their names in the clip."""
        from flowsynth.media.pictures import SUFFIXES

        del ctx, inputs
        every = [part.files[name] for part in parts for name in sorted(part.files)]
        suffix = SUFFIXES[self.format]
        return FileSet(
            {f"{self.prefix}{self.start_number + k:06d}{suffix}": data for k, data in enumerate(every)}
        )

    def run(self, ctx: RunContext, /, *, frames: Frames) -> FileSet:
        """Encode a whole clip."""
        return self.combine(ctx, [self.segment(ctx, frames=frames)])
