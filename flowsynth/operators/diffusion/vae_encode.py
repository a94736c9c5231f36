"""Turn frames into latents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Map, StreamKind
from flowsynth.models import Model
from flowsynth.operators.diffusion._models import require_verb
from flowsynth.operators.shared.frames import as_rgb
from flowsynth.values import Frames, Latents
from flowsynth.values.frames import as_float


class VaeEncode(Operator):
    """Encode frames with a model's VAE.

    Sizes that are no multiple of the VAE's factor are padded at the right and bottom by reflection; the
    original size travels with the latents, and `vae_decode` crops back to it.

    By default the posterior's mode is taken, which is deterministic. With `sample` each frame is drawn from
    its posterior with the same seeded noise, so that the result does not depend on where a frame lies.

    With `tile_size` the convolutions run tile by tile with the whole frame's statistics: the result differs
    from that of whole frames by less than 5e-5 of its standard deviation in float32.

    Inputs:
        frames: T, C, H, W of any size and dtype; grey counts as equal channels, alpha is dropped.
        model: gives the VAE.

    Output:
        Latents of T, C, ceil(H / factor), ceil(W / factor), scaled for the denoiser, in the model's dtype.
    """

    op: ClassVar[str] = "vae_encode"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("torch", "diffusers")
    model_parts: ClassVar[Mapping[str, tuple[str, ...]]] = {"model": ("vae",)}

    sample: bool = Field(False, description="draw from the posterior instead of taking its mode")
    seed: int = Field(0, ge=0, lt=2**63, description="of the draw")
    tile_size: int = Field(0, ge=0, multiple_of=8, description="pixels; 0 encodes whole frames")
    batch_size: int = Field(1, ge=1, description="frames at once; changes results in the last bits")

    def stream(self) -> StreamKind:
        """Frame by frame."""
        return Map()

    def run(self, ctx: RunContext, /, *, frames: Frames, model: Model) -> Latents:
        """Encode each frame."""
        import torch

        loaded = model.load(ctx)
        require_verb(model, loaded, "encode_frames", self.op)
        parts, done = [], 0
        for chunk in frames.chunks(1 if self.sample else self.batch_size):
            ctx.progress(done, frames.num_frames)
            generator = torch.Generator("cpu").manual_seed(self.seed) if self.sample else None
            rgb = as_rgb(as_float(chunk.to(ctx.device)))
            parts.append(
                loaded.encode_frames(
                    rgb, generator=generator, tile_size=self.tile_size, batch_size=self.batch_size
                )
            )
            done += chunk.shape[0]
        space = loaded.latent_format.space
        return Latents(torch.cat(parts), frames.fps, space, frames.height, frames.width)
