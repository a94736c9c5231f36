"""Give the size of what is to be generated."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import ClassVar

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.operator import Operator
from flowsynth.models import Model
from flowsynth.operators.diffusion._models import require_verb
from flowsynth.values import Frames, Latents


class EmptyLatents(Operator):
    """Latents without content: `denoise` replaces them by noise.

    Inputs:
        model: gives the latents' space, factor and channels; nothing is loaded.
        like: frames whose size, number and rate are taken, in place of the parameters.

    Output:
        Latents of T, C, ceil(H / factor), ceil(W / factor), all zero and marked as empty.
    """

    op: ClassVar[str] = "empty_latents"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("torch",)
    model_parts: ClassVar[Mapping[str, tuple[str, ...]]] = {"model": ("vae",)}

    height: int = Field(512, ge=8, le=16384, description="of the decoded frames, pixels")
    width: int = Field(512, ge=8, le=16384, description="of the decoded frames, pixels")
    num_frames: int = Field(1, ge=1, description="how many; 1 is a picture")
    fps: float | None = Field(None, gt=0, description="frames a second")

    def run(self, ctx: RunContext, /, *, model: Model, like: Frames | None = None) -> Latents:
        """Make them."""
        import torch

        loaded = model.load(ctx)
        require_verb(model, loaded, "latent_format", self.op)
        form = loaded.latent_format
        height, width, count = self.height, self.width, self.num_frames
        fps = None if self.fps is None else Fraction(self.fps).limit_denominator(100_000)
        if like is not None:
            height, width, count, fps = like.height, like.width, like.num_frames, like.fps
        size = (-(-height // form.factor), -(-width // form.factor))
        data = torch.zeros(count, form.channels, *size)
        return Latents(data, fps, form.space, height, width, empty=True)
