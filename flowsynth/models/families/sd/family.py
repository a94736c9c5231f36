"""The Stable Diffusion 1.x and 2.x family: what its models are, can do, and are identified by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from flowsynth.core.canonical import digest_json
from flowsynth.core.errors import Fault
from flowsynth.models.families.sd.identity import model_identity
from flowsynth.models.families.sd.options import SdDenoiseOptions, SdTextOptions
from flowsynth.models.families.sd.spec import SdSpec
from flowsynth.models.latent_format import LatentFormat
from flowsynth.models.protocol import Family, PartStore, Verb
from flowsynth.models.requests import Asked
from flowsynth.models.spec import ITEM_BYTES

if TYPE_CHECKING:
    from flowsynth.models.families.sd.model import SdModel


class StableDiffusion(Family[SdSpec]):
    """Family ``sd``."""

    name: ClassVar[str] = "sd"
    spec_type: ClassVar[type[SdSpec]] = SdSpec
    verbs: ClassVar[Mapping[str, Verb]] = {
        "text_encode": Verb(options=SdTextOptions),
        "vae_encode": Verb(),
        "denoise": Verb(options=SdDenoiseOptions),
        "vae_decode": Verb(),
    }

    def fingerprint(self, spec: SdSpec, memo: Path | None, parts: tuple[str, ...] = ()) -> str:
        """Identity of everything the spec loads, or of what some parts depend on."""
        return digest_json(model_identity(spec, memo, parts))

    def weight_bytes(self, spec: SdSpec, parts: tuple[str, ...]) -> int | None:
        """Bytes of the weights that a step holds on its device.

        Raises:
            InputError: a file is missing.
        """
        from flowsynth.models.families.sd.components import component_source
        from flowsynth.models.families.sd.parts import network_bytes

        sources = {
            "text": [("text_encoder", component_source(spec, "text_encoder"))],
            "vae": [("vae", component_source(spec, "vae"))],
            "denoiser": [
                ("unet", component_source(spec, "unet")),
                *(("controlnet", source) for source in spec.controlnets.values()),
                *([("motion", spec.motion)] if spec.motion is not None else []),
            ],
        }
        held = [pair for part in parts for pair in sources.get(part, [])]
        return sum(network_bytes(kind, place, ITEM_BYTES[spec.dtype], offline=True) for kind, place in held)

    def open(self, spec: SdSpec, store: PartStore) -> SdModel:
        """A loaded model; its networks are loaded when first used."""
        from flowsynth.models.families.sd.model import SdModel

        return SdModel(spec, store)

    def check_spec(self, spec: SdSpec) -> list[Fault]:
        """A single file of another kind, LoRAs that do not fit, and unknown options of the scheduler."""
        from flowsynth.models.families.sd.declared import spec_faults

        return spec_faults(spec)

    def check(self, spec: SdSpec, asked: Asked, inputs: Mapping[str, int]) -> list[Fault]:
        """Layers to skip, controls, window and scheduler against what the model has."""
        from flowsynth.models.families.sd.checks import faults

        return faults(spec, asked, inputs)

    def scheduler_names(self, spec: SdSpec) -> Sequence[str]:
        """Names that a scheduler parameter may have."""
        from flowsynth.models.diffusion.schedulers import scheduler_names

        return scheduler_names()

    def latent_format(self, spec: SdSpec, *, offline: bool = False) -> LatentFormat:
        """The latents of a model, from its configuration alone.

        Raises:
            InputError: the VAE's configuration is missing.
        """
        from flowsynth.models.diffusion.vae import latent_space, vae_factor
        from flowsynth.models.families.sd.components import component_config

        config = component_config(spec, "vae", offline=offline)
        return LatentFormat(latent_space(config), vae_factor(config), int(config["latent_channels"]))


FAMILY = StableDiffusion
