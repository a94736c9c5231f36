"""Bring latents to another size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, RequestError
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Map, StreamKind
from flowsynth.values import Latents

if TYPE_CHECKING:
    import torch

_LARGEST = 16384


class ResizeLatents(Operator):
    """Bring latents to the size of larger or smaller pictures, to be denoised once more.

    The methods are those by which pictures are resized, without care for aliasing; ``slerp`` interpolates
    each latent pixel's vector along the arc between its neighbours, so that its length is kept, where
    ``bilinear`` shortens it. What none of them gives is detail: at a strength below about 0.5 the result
    looks blurred.

    Inputs:
        latents: T, C, h, w of any space in which a latent pixel stands for a square of pixels; not empty.

    Output:
        Latents of T, C, h', w' for frames of the size asked for.

    Errors:
        RequestError: empty latents, or latents of a space that is no grid of squares.
    """

    op: ClassVar[str] = "resize_latents"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    width: int | None = Field(default=None, ge=8, le=_LARGEST, description="of the decoded frames, pixels")
    height: int | None = Field(default=None, ge=8, le=_LARGEST, description="of the decoded frames, pixels")
    factor: float | None = Field(default=None, gt=0, le=16, description="of both sides")
    method: Literal["nearest", "bilinear", "bicubic", "area", "slerp"] = Field(
        default="bilinear", description="how latent pixels between are made"
    )

    def stream(self) -> StreamKind:
        """Frame by frame."""
        return Map()

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """Refuse no size, and two."""
        del inputs
        given = [name for name in ("width", "height", "factor") if getattr(self, name) is not None]
        if given and ("factor" not in given or given == ["factor"]):
            return []
        expected = "width, height or both, or factor"
        return [Fault("params", "several sizes" if given else "no size", expected, ", ".join(given))]

    def run(self, ctx: RunContext, /, *, latents: Latents) -> Latents:
        """Resize each frame's latents."""
        from flowsynth.functional.picture.resize_grid import resized

        ctx.check_cancelled()
        if latents.empty:
            raise RequestError("resize_latents: these latents are empty; ask empty_latents for the size")
        if latents.frames not in (0, latents.num_frames):
            raise RequestError("resize_latents: expected a latent frame a frame, given latents of a clip")
        size, grid = self._size(latents)

        def render(part: torch.Tensor) -> torch.Tensor:
            return resized(part.float(), grid, self.method).to(part.dtype)

        data = tuple(render(part) for part in latents.parts)
        return replace(latents, data=data, height=size[0], width=size[1])

    def _size(self, latents: Latents) -> tuple[tuple[int, int], tuple[int, int]]:
        """Size in pixels, and in latent pixels."""
        rows, columns = latents.frame_shape[1:]
        height, width = latents.height or rows * 8, latents.width or columns * 8
        unit = -(-height // rows)
        if -(-width // columns) != unit:
            raise RequestError(
                f"resize_latents: {columns}x{rows} latent pixels for {width}x{height} are no grid of squares"
            )
        sides = self._sides(height, width)
        return sides, (-(-sides[0] // unit), -(-sides[1] // unit))

    def _sides(self, height: int, width: int) -> tuple[int, int]:
        if self.factor is not None:
            return max(round(height * self.factor), 1), max(round(width * self.factor), 1)
        if self.width is None:
            assert self.height is not None
            return self.height, max(round(width * self.height / height), 1)
        return self.height or max(round(height * self.width / width), 1), self.width
