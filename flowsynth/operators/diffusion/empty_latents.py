"""Give the size of what is to be generated."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, ClassVar

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, GraphError
from flowsynth.core.operator import Operator
from flowsynth.models import Model
from flowsynth.operators.diffusion._models import size_faults
from flowsynth.values import Frames, Latents


class EmptyLatents(Operator):
    """Latents without content: `denoise` replaces them by noise.

    Inputs:
        model: gives the latents' space, factor and channels; nothing is loaded.
        like: frames whose size, number and rate are taken, in place of the parameters.

    Output:
        Latents of T, C, ceil(H / factor), ceil(W / factor), all zero and marked as empty; fewer than the
        frames where one of the model's latent frames stands for several.

    Errors:
        A size or a number of frames that the model cannot make.
    """

    op: ClassVar[str] = "empty_latents"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("torch",)
    model_parts: ClassVar[Mapping[str, tuple[str, ...]]] = {"model": ("vae",)}

    height: int = Field(default=512, ge=8, le=16384, description="of the decoded frames, pixels")
    width: int = Field(default=512, ge=8, le=16384, description="of the decoded frames, pixels")
    num_frames: int = Field(default=1, ge=1, description="how many; 1 is a picture")
    fps: float | None = Field(default=None, gt=0, description="frames a second")

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """A size or a number of frames that the model cannot make."""
        if "like" in inputs:
            return []
        return size_faults(Model.of(inputs.get("model")), self.height, self.width, self.num_frames)

    def run(self, ctx: RunContext, /, *, model: Model, like: Frames | None = None) -> Latents:
        """Make them."""
        import torch

        form = model.latent_format(offline=ctx.offline)
        height, width, count = self.height, self.width, self.num_frames
        fps = None if self.fps is None else Fraction(self.fps).limit_denominator(100_000)
        if like is not None:
            height, width, count, fps = like.height, like.width, like.num_frames, like.fps
        if faults := form.faults(height, width, count, "params" if like is None else "inputs.like"):
            raise GraphError(faults, self.op)
        data = torch.zeros(form.latent_count(count), form.channels, *form.latent_size(height, width))
        return Latents(data, fps, form.space, height, width, empty=True, frames=0 if form.by_frame else count)
