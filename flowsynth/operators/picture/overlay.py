"""Put a picture or text on frames."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, InputError, RequestError
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Reads, Resample, StreamInfo, StreamKind
from flowsynth.operators.picture._align import (
    aligned_info,
    aligned_reads,
    check_aligned,
    frame_beside,
    render_each,
)
from flowsynth.operators.picture._text import text_picture
from flowsynth.operators.shared.colors import Color
from flowsynth.operators.shared.files import named_files
from flowsynth.values import Frames

if TYPE_CHECKING:
    from torch import Tensor

_TEXT_SIZE = 0.06
_EXPECTED = "text, a file, or the input picture"


class Overlay(Operator):
    """Lay a picture, a clip, a picture file or text over frames, at a place and with an opacity.

    A picture's own alpha counts. `file` is read with its alpha, which ``read_image`` would lay over white.
    The place is a corner, a side or the middle, `margin` away from the border and moved by `right` and
    `down`; what leaves the frame is cut. Text has its lines centred, and broken between words where they
    don't fit. Without a font file it is drawn in the one inside Pillow, which has ASCII only.

    Inputs:
        frames: T, C, H, W of any size and dtype; C is 1, 3 or 4.
        picture: one picture, held over the whole clip, or as many frames as the clip; 1, 3 or 4 channels.
            Brought to the channels of the frames. Not beside text or a file.

    Output:
        Frames like the input.

    Errors:
        RequestError: a picture of another number of frames; nothing to lay over; a font that lacks a
            character.
        InputError: a file that is missing, or no picture or font.
    """

    op: ClassVar[str] = "overlay"
    version: ClassVar[int] = 1
    same_size: ClassVar[str] = "frames"
    libraries: ClassVar[tuple[str, ...]] = ("torch", "pillow")

    text: str | None = Field(default=None, min_length=1, description="what to write; may have several lines")
    file: Path | None = Field(default=None, description="a picture with its alpha, such as a logo in PNG")
    position: Literal[
        "top_left", "top", "top_right", "left", "centre", "right", "bottom_left", "bottom", "bottom_right"
    ] = Field(default="bottom_right", description="where in the frame")
    margin: float = Field(
        default=0.03, ge=0, le=0.5, description="from the border, in short sides of the frame"
    )
    right: int = Field(default=0, ge=-16384, le=16384, description="moved by, pixels")
    down: int = Field(default=0, ge=-16384, le=16384, description="moved by, pixels")
    size: float | None = Field(
        default=None,
        gt=0,
        le=4,
        description="height in frame heights, of a line or the picture; 0.06 or its own",
    )
    opacity: float = Field(default=1.0, ge=0, le=1, description="0 shows nothing, 1 all of it")
    colour: Color = Field(default="white", description="text: such as white or #ffcc00")
    font: Path | None = Field(
        default=None, description="text: a TrueType or OpenType file; the built-in font"
    )
    outline: Color | None = Field(
        default="black", description="text: a rim around the letters; null for none"
    )

    def stream(self) -> StreamKind:
        """Frame by frame, but for a picture that is held."""
        return Resample()

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """Refuse several things to lay over, and none."""
        params = [f"{name} {str(value)!r}" for name in ("text", "file") if (value := getattr(self, name))]
        given = params + ["a picture"] * ("picture" in inputs)
        if len(given) == 1:
            return []
        return [Fault("params.text", "one thing is laid over", _EXPECTED, " and ".join(given) or "none")]

    def files(self, ctx: RunContext) -> Mapping[str, Path]:
        """The font and the picture file."""
        del ctx
        return named_files({"font": self.font, "file": self.file})

    def output_info(self, inputs: Mapping[str, StreamInfo]) -> StreamInfo:
        """As long as the frames."""
        return aligned_info(self.op, inputs)

    def reads(self, start: int, stop: int, inputs: Mapping[str, StreamInfo]) -> Reads:
        """The same frames."""
        return aligned_reads(start, stop, inputs)

    def run(self, ctx: RunContext, /, *, frames: Frames, picture: Frames | None = None) -> Frames:
        """Lay over each frame."""
        from flowsynth.functional.picture.composite import over
        from flowsynth.functional.picture.layout import anchored

        check_aligned(self.op, {"frames": frames, "picture": picture})
        height, width = frames.height, frames.width
        margin = round(self.margin * min(height, width))
        fixed = self._fixed(ctx, height, width - 2 * margin) if picture is None else None

        def render(frame: Tensor, index: int) -> Tensor:
            shown = (
                fixed if picture is None else self._sized(frame_beside(picture, index, ctx.device), height)
            )
            assert shown is not None
            inner = shown.shape[-2], shown.shape[-1]
            top, left = anchored(self.position, inner, (height, width), margin)
            return over(frame, shown, top + self.down, left + self.right, self.opacity)

        return render_each(ctx, frames, render)

    def _fixed(self, ctx: RunContext, height: int, width: int) -> Tensor:
        """Draw the text or read the file, `(1, 4, h, w)`."""
        files = self.files(ctx)
        if self.text is None and "file" in files:
            return self._sized(_picture(files["file"]).to(ctx.device), height)
        if self.text is None:
            raise RequestError(f"overlay: expected {_EXPECTED}; given none")
        size = max(6, round((self.size or _TEXT_SIZE) * height))
        picture = text_picture(self.text, size, self.colour, self.outline, width, files.get("font"))
        return picture.to(ctx.device)

    def _sized(self, picture: Tensor, height: int) -> Tensor:
        """Bring a picture to its share of the frame's height."""
        from flowsynth.functional.picture.layout import resize_with_alpha
        from flowsynth.functional.picture.resize import lanczos

        if self.size is None:
            return picture
        rows = max(1, round(self.size * height))
        size = rows, max(1, round(picture.shape[-1] * rows / picture.shape[-2]))
        return resize_with_alpha(picture, size, lanczos).clamp(0, 1)


def _picture(file: Path) -> Tensor:
    """Read a picture with its alpha, upright, `(1, 4, H, W)` in [0, 1]."""
    import numpy as np
    import torch
    from PIL import Image, ImageOps

    from flowsynth.media.pictures import open_picture

    try:
        with open_picture(file) as image:
            upright = ImageOps.exif_transpose(image).convert("RGBA")
    except (OSError, Image.DecompressionBombError) as error:
        raise InputError(f"{file}: expected a picture; {error} (params.file)") from error
    return torch.from_numpy(np.asarray(upright).copy()).permute(2, 0, 1)[None].float() / 255
