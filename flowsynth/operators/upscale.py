"""Enlarge frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, RunError
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Map, StreamKind
from flowsynth.operators._frames import map_frames
from flowsynth.values import Frames

if TYPE_CHECKING:
    from torch import Tensor

_LARGEST = 16384  # pixels along a side: beyond it a size is a slip, and a frame takes gigabytes


class Upscale(Operator):
    """Resize frames by a factor or to a size.

    The methods:

    - ``lanczos``: Lanczos-3, the sharper; may ring slightly along hard edges.
    - ``bicubic``: Keys' cubic with a = -1/2 (1981), the softer.

    Both widen their kernel when reducing, against aliasing, agree with Pillow, and clamp to the range.

    The size comes from `factor`, or from `height` and `width`; with one of these the other follows from
    the aspect ratio. Without any the factor is 2. Sides are rounded to whole pixels.

    Inputs:
        frames: T, C, H, W of any size and dtype.

    Output:
        Frames of T, C, H', W', in the rate, dtype and kind of the input.
    """

    op: ClassVar[str] = "upscale"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    method: Literal["lanczos", "bicubic"] = Field("lanczos", description="the kernel")
    factor: float | None = Field(None, gt=0, le=16, description="of both sides; 2 if no size is given")
    height: int | None = Field(None, ge=1, le=_LARGEST, description="of the result, pixels")
    width: int | None = Field(None, ge=1, le=_LARGEST, description="of the result, pixels")

    def stream(self) -> StreamKind:
        """Frame by frame."""
        return Map()

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """Refuse a factor beside a size."""
        del inputs
        if self.factor is not None and (self.height is not None or self.width is not None):
            given = f"factor {self.factor}, height {self.height}, width {self.width}"
            return [Fault("params.factor", "beside a size", "factor, or height and width", given)]
        return []

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        """Resize each frame."""
        from flowsynth.functional.resize import bicubic, lanczos

        resize = lanczos if self.method == "lanczos" else bicubic
        size = self.target_size(frames.height, frames.width)

        def render(frame: Tensor) -> Tensor:
            return resize(frame, size)

        return map_frames(ctx, frames, render)

    def target_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the result for frames of a size.

        Raises:
            RunError: a side of the result would pass 16384 pixels.
        """
        if self.height is not None and self.width is not None:
            return self.height, self.width
        if self.height is not None:
            size = self.height, max(1, round(width * self.height / height))
        elif self.width is not None:
            size = max(1, round(height * self.width / width)), self.width
        else:
            factor = 2.0 if self.factor is None else self.factor
            size = max(1, round(height * factor)), max(1, round(width * factor))
        if max(size) > _LARGEST:
            raise RunError(f"upscale: {width}x{height} would become {size[1]}x{size[0]}; at most {_LARGEST}")
        return size
