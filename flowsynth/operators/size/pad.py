"""Put a border around frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

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

_LARGEST = 16384


class Padded(NamedTuple):
    """What `Pad` gives."""

    frames: Frames
    mask: Frames


class Pad(Operator):
    """Put a border around frames, and say by a mask where it is: what outpainting starts from.

    The mask is white on the border. With `feather` it fades to black over that many pixels inside, from each
    side that has a border: by the square of the share of the way that is left to go.

    Inputs:
        frames: T, C, H, W of any size and dtype; C is 1, 3 or 4.

    Output:
        frames: T, C, H + top + bottom, W + left + right.
        mask: frames of that size with one channel, in the same dtype.

    Errors:
        RequestError: a side of the result would pass 16384 pixels.
    """

    op: ClassVar[str] = "pad"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    left: int = Field(default=0, ge=0, le=_LARGEST, description="border, pixels")
    top: int = Field(default=0, ge=0, le=_LARGEST, description="border, pixels")
    right: int = Field(default=0, ge=0, le=_LARGEST, description="border, pixels")
    bottom: int = Field(default=0, ge=0, le=_LARGEST, description="border, pixels")
    feather: int = Field(default=0, ge=0, le=_LARGEST, description="over which the mask fades inside, pixels")
    color: Color = Field(default="#808080", description="of the border: such as white or #ffcc00")

    def stream(self) -> StreamKind:
        """Frame by frame."""
        return Map()

    def frame_size(self, sizes: Sizes, /) -> Size | None:
        """The frames' size with the border."""
        return known_size(sizes, self.box)

    def size_faults(self, sizes: Sizes, /) -> list[Fault]:
        """The result must not be too large."""
        return refusals(sizes, self.box)

    def box(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the result.

        Raises:
            RequestError: a side would pass 16384 pixels.
        """
        size = height + self.top + self.bottom, width + self.left + self.right
        if max(size) > _LARGEST:
            raise RequestError(f"pad: {width}x{height} would become {size[1]}x{size[0]}; at most {_LARGEST}")
        return size

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Padded:
        """Pad each frame."""
        colour = as_channels(self.color, frames.frame_shape[0])
        self.box(frames.height, frames.width)

        def render(frame: Tensor) -> Tensor:
            return self._around(frame, colour)

        def mask(frame: Tensor) -> Tensor:
            return self._mask(frame)

        return Padded(map_frames(ctx, frames, render), map_frames(ctx, frames, mask, kind="mask"))

    def _around(self, frame: Tensor, colour: Tensor) -> Tensor:
        height, width = frame.shape[-2:]
        made = colour.to(frame).view(1, -1, 1, 1).repeat(frame.shape[0], 1, *self.box(height, width))
        made[..., self.top : self.top + height, self.left : self.left + width] = frame
        return made

    def _mask(self, frame: Tensor) -> Tensor:
        import torch

        height, width = frame.shape[-2:]
        mask = frame.new_ones((frame.shape[0], 1, *self.box(height, width)))
        rows = self._distance(height, self.top, self.bottom)
        columns = self._distance(width, self.left, self.right)
        near = torch.minimum(rows[:, None], columns[None, :]).to(frame)
        inside = torch.zeros_like(near)
        if self.feather:
            inside = (1 - near / self.feather).clamp(min=0) ** 2
        mask[..., self.top : self.top + height, self.left : self.left + width] = inside
        return mask

    @staticmethod
    def _distance(length: int, before: int, after: int) -> Tensor:
        """Pixels from each place along a side to the nearest border; far where there is none."""
        import torch

        index = torch.arange(length, dtype=torch.float32)
        far = torch.full_like(index, float(_LARGEST * 4))
        return torch.minimum(index if before else far, length - index if after else far)
