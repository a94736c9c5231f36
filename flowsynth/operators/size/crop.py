"""Cut a part out of frames."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, field_validator

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, RequestError
from flowsynth.core.operator import Operator
from flowsynth.core.sizes import Size, Sizes
from flowsynth.core.streams import Map, StreamKind
from flowsynth.operators.size._known import known_size, refusals
from flowsynth.values import Frames


class Crop(Operator):
    """Cut a box out of every frame, or the largest centred part of an aspect ratio.

    The box has `height` and `width` (each by default all there is from the box's corner on) and its corner
    at `top` and `left`, by default where it is centred. Pixels stay as they are.

    Inputs:
        frames: T, C, H, W of any dtype.

    Output:
        Frames of T, C, H', W', otherwise as the input.

    Errors:
        RequestError: the box leaves the frame.
    """

    op: ClassVar[str] = "crop"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    aspect: str | None = Field(default=None, description="width to height, such as 16:9 or 2.39:1")
    height: int | None = Field(default=None, ge=1, description="of the box, pixels")
    width: int | None = Field(default=None, ge=1, description="of the box, pixels")
    top: int | None = Field(default=None, ge=0, description="row of the box's corner")
    left: int | None = Field(default=None, ge=0, description="column of the box's corner")

    @field_validator("aspect")
    @classmethod
    def _ratio_text(cls, value: str | None) -> str | None:
        if value is not None:
            _ratio(value)
        return value

    def stream(self) -> StreamKind:
        """Frame by frame."""
        return Map()

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """Refuse an aspect beside a box, and neither."""
        del inputs
        names = ("height", "width", "top", "left")
        box = [f"{name} {getattr(self, name)}" for name in names if getattr(self, name) is not None]
        if (self.aspect is None) is bool(box):
            return []
        given = ", ".join([f"aspect {self.aspect}", *box]) if box else "nothing"
        return [Fault("params", "not one box", "aspect, or some of height, width, top, left", given)]

    def frame_size(self, sizes: Sizes, /) -> Size | None:
        """The box's size; that of an aspect only a run shows."""

        def size(height: int, width: int) -> tuple[int, int]:
            top, left, bottom, right = self.box(height, width)
            return bottom - top, right - left

        return None if self.aspect is not None else known_size(sizes, size)

    def size_faults(self, sizes: Sizes, /) -> list[Fault]:
        """The box must lie in the frames."""
        return [] if self.aspect is not None else refusals(sizes, self.box)

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        """Cut each frame."""
        from flowsynth.functional.picture.resize import centre_crop_to_aspect

        ctx.check_cancelled()
        if self.aspect is not None:
            width, height = _ratio(self.aspect)
            parts = [centre_crop_to_aspect(part, width, height) for part in frames.parts]
        else:
            top, left, bottom, right = self.box(frames.height, frames.width)
            parts = [part[..., top:bottom, left:right] for part in frames.parts]
        return frames.with_data(tuple(part.contiguous() for part in parts))

    def box(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Top, left, bottom and right of the box in frames of a size.

        Raises:
            RequestError: the box leaves the frame.
        """
        top, bottom = _side(self.top, self.height, height)
        left, right = _side(self.left, self.width, width)
        if not (0 <= top < bottom <= height and 0 <= left < right <= width):
            raise RequestError(
                f"crop: the box leaves the frame; expected rows within 0 to {height} and columns within "
                f"0 to {width}, given rows {top} to {bottom} and columns {left} to {right}"
            )
        return top, left, bottom, right


def _side(first: int | None, length: int | None, whole: int) -> tuple[int, int]:
    """Return where the box starts and ends along one side."""
    if first is None:
        first = 0 if length is None else (whole - length) // 2
    return first, whole if length is None else first + length


def _ratio(text: str) -> tuple[int, int]:
    """Read ``16:9``, ``16/9`` or ``2.39:1`` as whole numbers, width first."""
    match = re.fullmatch(r"\s*(\d{1,5}(?:\.\d{1,4})?)\s*[:/x]\s*(\d{1,5}(?:\.\d{1,4})?)\s*", text)
    sides = tuple(round(float(side) * 10_000) for side in match.groups()) if match else (0, 0)
    if min(sides) < 1:
        raise ValueError(f"expected width to height, such as 16:9 or 2.39:1, given {text!r}")
    return sides[0], sides[1]
