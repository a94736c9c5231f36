"""Bring frames to a size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, RequestError
from flowsynth.core.operator import Operator
from flowsynth.core.sizes import Size, Sizes
from flowsynth.core.streams import Map, StreamKind
from flowsynth.operators.shared.colors import Color, as_channels
from flowsynth.operators.shared.frames import map_frames
from flowsynth.operators.size._known import known_size, refusals
from flowsynth.values import Frames

if TYPE_CHECKING:
    from torch import Tensor

_LARGEST = 16384  # pixels along a side: beyond it a size is a slip, and a frame takes gigabytes
_EXPECTED = "height, width or both, or short_side, or long_side, or factor"


class Resize(Operator):
    """Bring frames to a size in pixels.

    With one of `height` and `width`, or with `short_side`, `long_side` or `factor`, the aspect ratio is
    kept. With both, `mode` says what becomes of another aspect ratio:

    - ``stretch``: it is given up.
    - ``fit``: the result is as large as fits inside; one side may come out smaller.
    - ``fill``: the box is covered and what sticks out is cut, equally on both sides.
    - ``pad``: as ``fit``, centred on `background`.

    The methods: ``lanczos`` (Lanczos-3, the sharpest), ``bicubic`` (Keys 1981, a = -1/2), both widened
    against aliasing when reducing, and ``area`` (the exact mean of what a pixel covers: never rings, best
    for strong reductions of drawings and masks); ``nearest`` keeps hard edges and ``bilinear`` mixes the four
    pixels around, both without care for aliasing. A frame that has the size already stays bit for bit.
    Colours under alpha are weighed by it, so that hidden colours don't bleed.

    Inputs:
        frames: T, C, H, W of any size and dtype; C is 1, 3 or 4.

    Output:
        Frames of T, C, H', W', in the rate, dtype and kind of the input.

    Errors:
        RequestError: a side of the result would pass 16384 pixels.
    """

    op: ClassVar[str] = "resize"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("torch", "pillow")

    height: int | None = Field(default=None, ge=1, le=_LARGEST, description="of the result, pixels")
    width: int | None = Field(default=None, ge=1, le=_LARGEST, description="of the result, pixels")
    short_side: int | None = Field(default=None, ge=1, le=_LARGEST, description="the shorter side, pixels")
    long_side: int | None = Field(default=None, ge=1, le=_LARGEST, description="the longer side, pixels")
    factor: float | None = Field(default=None, gt=0, le=16, description="of both sides")
    multiple_of: int = Field(
        default=1, ge=1, le=256, description="round sides to this, as models want; at least once"
    )
    mode: Literal["stretch", "fit", "fill", "pad"] = Field(
        default="stretch", description="where both sides are given"
    )
    method: Literal["lanczos", "bicubic", "area", "bilinear", "nearest"] = Field(
        default="lanczos", description="the kernel"
    )
    background: Color = Field(default="black", description="pad: such as white or #ffcc00")

    def stream(self) -> StreamKind:
        """Frame by frame."""
        return Map()

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """Refuse no size, and several."""
        del inputs
        names = ("height", "width", "short_side", "long_side", "factor")
        given = [name for name in names if getattr(self, name) is not None]
        faults = []
        if given not in (["height", "width"], *([name] for name in names)):
            faults.append(
                Fault("params", "no size" if not given else "several sizes", _EXPECTED, ", ".join(given))
            )
        if self.mode != "stretch" and given != ["height", "width"]:
            faults.append(Fault("params.mode", "without a box", "height and width", f"mode {self.mode}"))
        return faults

    def frame_size(self, sizes: Sizes, /) -> Size | None:
        """The size asked for, or what it makes of the frames'."""
        own = self.height is not None and self.width is not None
        return None if self.mode == "fit" else known_size(sizes, self.box, fixed=own)

    def size_faults(self, sizes: Sizes, /) -> list[Fault]:
        """The result must not be too large."""
        return refusals(sizes, self.box)

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        """Resize each frame."""
        from flowsynth.functional.picture import layout

        kernel = self._kernel()
        box = self.box(frames.height, frames.width)
        background = as_channels(self.background, frames.frame_shape[0])

        def render(frame: Tensor) -> Tensor:
            return layout.fitted(frame, box, self.mode, kernel, background)

        if box == (frames.height, frames.width):
            return frames
        return map_frames(ctx, frames, render)

    def _kernel(self) -> Callable[[Tensor, tuple[int, int]], Tensor]:
        from flowsynth.functional.picture import layout, resize
        from flowsynth.functional.picture.resize_grid import resized

        method = self.method
        if method in ("nearest", "bilinear"):
            return lambda x, size: resized(x, size, method)
        return {"lanczos": resize.lanczos, "bicubic": resize.bicubic, "area": layout.area}[method]

    def box(self, height: int, width: int) -> tuple[int, int]:
        """Height and width to bring frames of a size to (under ``fit``: at most).

        Raises:
            RequestError: no size is given, or a side would pass 16384 pixels.
        """
        sides = self._sides(height, width)
        size = tuple(max(1, round(side / self.multiple_of)) * self.multiple_of for side in sides)
        if max(size) > _LARGEST:
            raise RequestError(
                f"resize: {width}x{height} would become {size[1]}x{size[0]}; at most {_LARGEST}"
            )
        return size[0], size[1]

    def _sides(self, height: int, width: int) -> tuple[float, float]:
        if self.height is not None and self.width is not None:
            return self.height, self.width
        if self.height is not None:
            scale = self.height / height
        elif self.width is not None:
            scale = self.width / width
        elif self.short_side is not None:
            scale = self.short_side / min(height, width)
        elif self.long_side is not None:
            scale = self.long_side / max(height, width)
        elif self.factor is not None:
            scale = self.factor
        else:
            raise RequestError(f"resize: params: no size; expected {_EXPECTED}")
        return height * scale, width * scale
