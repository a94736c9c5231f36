"""Turn latents into frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, JsonValue

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, RunError
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Map, StreamKind
from flowsynth.models import Model
from flowsynth.models.protocol import DecodesLatents
from flowsynth.models.requests import DecodeSettings
from flowsynth.operators.diffusion._models import in_portions, model_faults, model_stream, require_space
from flowsynth.values import Frames, Latents
from flowsynth.values.frames import NanCheck


class VaeDecode(Operator):
    """Decode latents with a model's VAE.

    Frames are cropped to the size that `vae_encode` or `empty_latents` noted.

    With `tile_size` the convolutions run tile by tile with the whole frame's statistics, so a large frame
    fits a small device: the result differs from that of whole frames by less than 5e-5 of its standard
    deviation in float32, for every size.

    Inputs:
        latents: of the model's own latent space.
        model: gives the VAE.

    Output:
        RGB frames of T, 3, H, W.

    Errors:
        Latents of another family or VAE; latents that hold NaN.
    """

    op: ClassVar[str] = "vae_decode"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("torch", "diffusers")
    model_parts: ClassVar[Mapping[str, tuple[str, ...]]] = {"model": ("vae",)}

    tile_size: int = Field(default=0, ge=0, multiple_of=8, description="pixels; 0 decodes whole frames")
    batch_size: int = Field(default=1, ge=1, description="frames at once; changes results in the last bits")
    dtype: Literal["uint8", "float32", "float16"] = Field(default="uint8", description="of the frames")

    options: dict[str, JsonValue] = Field(default_factory=dict, description="the model family's own")

    def stream(self) -> StreamKind:
        """Frame by frame."""
        return Map()

    def stream_with(self, models: Mapping[str, object]) -> StreamKind:
        """Frame by frame, unless the model's latent frames hang together."""
        return model_stream(self.op, models, self.stream())

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """What the model cannot do."""
        return model_faults(self._settings(), inputs)

    def _settings(self) -> DecodeSettings:
        return DecodeSettings(options=self.options, tile_size=self.tile_size, batch_size=self.batch_size)

    def run(self, ctx: RunContext, /, *, latents: Latents, model: Model) -> Frames:
        """Decode the frames: some at once, or all where the model's latent frames hang together."""
        import torch

        form = model.latent_format(offline=ctx.offline)
        settings = in_portions(ctx, model, self._settings(), form.factor * max(latents.tensor.shape[-2:]))
        loaded = model.open(ctx, settings, {"latents": 1})
        if not isinstance(loaded, DecodesLatents):
            raise model.broken(self.op)
        require_space(latents, form.space, self.op)
        if not latents.tensor.isfinite().all():
            raise RunError(
                f"{ctx.node or self.op}: the latents hold NaN or infinity (dtype {latents.tensor.dtype});"
                " a model in float16 may overflow: try dtype: float32 or bfloat16"
            )
        looked = NanCheck()
        parts, done, rests = [], 0, ctx.portions.resting(latents.tensor.device)
        for chunk in latents.chunks(settings.batch_size if form.by_frame else latents.num_frames):
            ctx.progress(done, latents.num_frames)
            pixels = loaded.decode_latents(latents.with_data(chunk), settings)
            height, width = latents.height or pixels.shape[-2], latents.width or pixels.shape[-1]
            made = looked.as_dtype(pixels[..., :height, :width], self.dtype)
            parts.append(made.to(rests))
            done += chunk.shape[0]
        looked.end()
        return Frames(torch.cat(parts), latents.fps)
