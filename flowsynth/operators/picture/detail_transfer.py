"""Lay the detail of a small redrawn clip onto a large one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Reads, Resample, StreamInfo, StreamKind
from flowsynth.operators.picture._align import (
    aligned_info,
    aligned_reads,
    check_aligned,
    frame_beside,
    render_each,
)
from flowsynth.values import Frames
from flowsynth.values.frames import as_rgb

if TYPE_CHECKING:
    from torch import Tensor


class DetailTransfer(Operator):
    """Lay what redrawing changed in a small clip onto a large one: strokes and texture, not colours.

    A small or weak model redraws a small picture; its lines are worth having, its colours and its softness
    are not. So only the fine part of what it changed, `redrawn` against `reference`, is taken (residual
    transfer), enlarged, and multiplies the light of `frames`: in linear light, so that a stroke darkens
    what it is laid onto as ink does, and hues stay. Where `frames` are flat they stay as they are, so that
    no grain or stain comes in.

    With `take: whole` the redrawn clip itself is the result, enlarged by Lanczos to the size of `frames`
    where it is smaller, and `reference` is not read: for a model that is trusted with whole pictures.

    Inputs:
        frames: T, C, H, W of any size and dtype: what the detail is laid onto. Alpha stays.
        redrawn: the redrawn clip, as long as `frames`, or one picture; usually smaller.
        reference: what `redrawn` was made from, of its size; best passed through the same autoencoder, so
            that the autoencoder's own loss doesn't count as change. By default `frames`, reduced.

    Output:
        Frames like `frames`.

    Errors:
        RequestError: clips of other lengths; a reference of another size than `redrawn`.
    """

    op: ClassVar[str] = "detail_transfer"
    version: ClassVar[int] = 1
    same_size: ClassVar[str] = "frames"
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    take: Literal["detail", "whole"] = Field(
        default="detail", description="what of the redrawn clip is taken"
    )
    darks: float = Field(default=1.0, ge=0, le=4, description="gain on what became darker, such as ink")
    lights: float = Field(default=1.0, ge=0, le=4, description="gain on what became lighter")
    size: float = Field(
        default=4.0, gt=0, le=100, description="of the coarsest detail taken, pixels of the redrawn clip"
    )
    contrast: float = Field(
        default=0.01,
        ge=0,
        le=0.25,
        description="local contrast of frames up to which nothing is laid on, from four times it all; "
        "0 lays on everywhere",
    )

    def stream(self) -> StreamKind:
        """Frame by frame, but for pictures that are held."""
        return Resample()

    def output_info(self, inputs: Mapping[str, StreamInfo]) -> StreamInfo:
        """As long as the frames."""
        return aligned_info(self.op, inputs)

    def reads(self, start: int, stop: int, inputs: Mapping[str, StreamInfo]) -> Reads:
        """The same frames."""
        return aligned_reads(start, stop, inputs)

    def unread(self) -> Collection[str]:
        """The reference, where the redrawn clip is taken whole."""
        return () if self.take == "detail" else ("reference",)

    def run(
        self, ctx: RunContext, /, *, frames: Frames, redrawn: Frames, reference: Frames | None = None
    ) -> Frames:
        """Lay the detail onto each frame."""
        if self.take == "whole":
            return self._whole(ctx, frames, redrawn)
        check_aligned(self.op, {"frames": frames, "redrawn": redrawn, "reference": reference})
        if reference is not None and (reference.height, reference.width) != (redrawn.height, redrawn.width):
            raise RequestError(
                f"detail_transfer: reference: expected the size of redrawn, {redrawn.width}x"
                f"{redrawn.height}, given {reference.width}x{reference.height}"
            )

        def render(frame: Tensor, index: int) -> Tensor:
            made = as_rgb(frame_beside(redrawn, index, ctx.device))
            before = None if reference is None else as_rgb(frame_beside(reference, index, ctx.device))
            return self._laid_on(frame, made, before)

        return render_each(ctx, frames, render)

    def _whole(self, ctx: RunContext, frames: Frames, redrawn: Frames) -> Frames:
        """Take the redrawn clip, in the size of `frames`."""
        from flowsynth.functional.picture.resize import lanczos

        check_aligned(self.op, {"frames": frames, "redrawn": redrawn})
        size = frames.height, frames.width

        def render(frame: Tensor, index: int) -> Tensor:
            made = frame_beside(redrawn, index, ctx.device)
            made = made if made.shape[-2:] == size else lanczos(made, size)
            return self._with_channels(made, frame)

        return render_each(ctx, frames, render)

    @staticmethod
    def _with_channels(made: Tensor, frame: Tensor) -> Tensor:
        """Bring a picture to the channels of a frame, whose alpha it gets."""
        import torch

        from flowsynth.functional.picture.color import luma

        colours = luma(as_rgb(made)) if frame.shape[1] == 1 else as_rgb(made)
        return torch.cat((colours, frame[:, 3:]), dim=1)

    def _laid_on(self, frame: Tensor, redrawn: Tensor, before: Tensor | None) -> Tensor:
        import torch

        from flowsynth.functional.picture.detail import transfer_detail
        from flowsynth.functional.picture.resize import bicubic

        if before is None:
            small = redrawn.shape[-2], redrawn.shape[-1]
            before = bicubic(as_rgb(frame), small).clamp(0, 1)
        colours = transfer_detail(
            frame[:, :3],
            redrawn,
            before,
            size=self.size,
            darks=self.darks,
            lights=self.lights,
            contrast=self.contrast,
        )
        return torch.cat((colours, frame[:, 3:]), dim=1)
