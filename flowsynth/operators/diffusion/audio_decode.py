"""Turn latents into sound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault
from flowsynth.core.operator import Operator
from flowsynth.models import Model
from flowsynth.models.protocol import DecodesSound
from flowsynth.models.requests import SoundSettings
from flowsynth.operators.diffusion._models import model_faults, require_space
from flowsynth.values import Audio, Latents


class AudioDecode(Operator):
    """Decode the sound of a clip that a model draws together with its pictures (LTX-2).

    `denoise` keeps the sound's latents beside those of the pictures; `vae_decode` gives the pictures of the
    same node, this the sound. `encode_video` takes it by its port ``audio``.

    Inputs:
        latents: from `denoise` with the same model.
        model: gives the decoder of sound and the vocoder.

    Output:
        Sound of the clip's length, at the vocoder's rate.

    Errors:
        A model that makes no sound; latents of another model, or that no `denoise` made.
    """

    op: ClassVar[str] = "audio_decode"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("torch", "diffusers")
    model_parts: ClassVar[Mapping[str, tuple[str, ...]]] = {"model": ("vae",)}

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """A model that makes no sound."""
        return model_faults(SoundSettings(), inputs)

    def run(self, ctx: RunContext, /, *, latents: Latents, model: Model) -> Audio:
        """Decode it."""
        loaded = model.open(ctx, SoundSettings(), {"latents": 1})
        if not isinstance(loaded, DecodesSound):
            raise model.broken(self.op)
        require_space(latents, model.latent_format(offline=ctx.offline).space, self.op)
        return loaded.decode_sound(latents)
