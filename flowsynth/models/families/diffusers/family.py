"""Family ``diffusers``: every pipeline of the library, known before a run from its source alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import JsonValue

from flowsynth.core.canonical import digest_json
from flowsynth.core.errors import Fault, FlowsynthError
from flowsynth.core.streams import Whole
from flowsynth.models.families.diffusers.spec import DiffusersSpec
from flowsynth.models.latent_format import LatentFormat
from flowsynth.models.protocol import Family, PartStore, Verb
from flowsynth.models.requests import Asked, DenoiseSettings

if TYPE_CHECKING:
    from flowsynth.models.families.diffusers.facts import Facts
    from flowsynth.models.families.diffusers.model import DiffusersModel

#: Option of classes whose controls are for some frames of a clip alone.
KEY_FRAMES = "controlnet_frame_indices"


class Diffusers(Family[DiffusersSpec]):
    """Family ``diffusers``."""

    name: ClassVar[str] = "diffusers"
    spec_type: ClassVar[type[DiffusersSpec]] = DiffusersSpec
    verbs: ClassVar[Mapping[str, Verb]] = {
        name: Verb() for name in ("text_encode", "denoise", "vae_decode", "audio_decode")
    }

    def verb(self, spec: DiffusersSpec, name: str) -> Verb | None:
        """The class's own arguments are the options; a decoder of whole clips is no map over frames."""
        from flowsynth.models.families.diffusers.facts import facts
        from flowsynth.models.families.diffusers.options import option_model

        if name not in self.verbs:
            return None
        try:
            known = facts(spec.class_name(offline=True))
        except FlowsynthError:
            return self.verbs[name]  # said when the node runs, with what to do
        if name == "audio_decode" and not known.sounds:
            return None
        whole = name == "vae_decode" and not _decodes_apart(spec, known)
        return Verb(option_model(known.name, name), Whole() if whole else None)

    def check_spec(self, spec: DiffusersSpec) -> list[Fault]:
        """A file that is no whole pipeline, classes and parts that are none, LoRAs that do not fit."""
        from flowsynth.models.families.diffusers.declared import spec_faults

        return spec_faults(spec)

    def check(self, spec: DiffusersSpec, asked: Asked, inputs: Mapping[str, int]) -> list[Fault]:
        """Ports and settings that the class has no use for, what it cannot do without."""
        from flowsynth.models.families.diffusers.checks import faults

        return faults(spec, asked, inputs)

    def describe(self, spec: DiffusersSpec) -> dict[str, JsonValue]:
        """Class, parts, ports and licence of a pipeline that is on this machine."""
        from flowsynth.models.families.diffusers.describe import describe

        return describe(spec)

    def weight_bytes(self, spec: DiffusersSpec, parts: tuple[str, ...]) -> int | None:
        """Bytes of the weights that a step holds on its device.

        Raises:
            InputError: a file is missing.
        """
        from flowsynth.models.families.diffusers.describe import weight_bytes

        return weight_bytes(spec, parts)

    def fingerprint(self, spec: DiffusersSpec, memo: Path | None, parts: tuple[str, ...] = ()) -> str:
        """Identity of the parts that are loaded, and of the libraries whose code the pipeline is."""
        return digest_json(spec.identity(memo, parts))

    def scheduler_names(self, spec: DiffusersSpec) -> Sequence[str]:
        """Names that a scheduler parameter may have; none where the model runs by its own alone."""
        from flowsynth.models.diffusion.schedulers import scheduler_names, takes_schedulers
        from flowsynth.models.families.diffusers.index import part_classes

        try:
            _, own = part_classes(spec.index(offline=True)).get("scheduler", ("", ""))
        except FlowsynthError:
            return ()
        return scheduler_names() if takes_schedulers(own) else ()

    def control_frames(self, spec: DiffusersSpec, asked: DenoiseSettings) -> int | None:
        """As many as SparseCtrl's option lists, by the class's own default the first alone."""
        from flowsynth.models.families.diffusers.facts import facts

        known = facts(spec.class_name(offline=True))
        if KEY_FRAMES not in known.arguments:
            return None
        listed = asked.options.get(KEY_FRAMES, known.arguments[KEY_FRAMES])
        return len(listed) if isinstance(listed, list) else None

    def latent_format(self, spec: DiffusersSpec, *, offline: bool = False) -> LatentFormat:
        """The latents, from the decoder's configuration.

        Raises:
            InputError: a configuration is missing, or the decoder's class is not known.
        """
        from flowsynth.models.families.diffusers.formats import latent_format

        return latent_format(spec, offline=offline)

    def open(self, spec: DiffusersSpec, store: PartStore) -> DiffusersModel:
        """A pipeline; its networks are loaded when they are first called."""
        from flowsynth.models.families.diffusers.model import DiffusersModel

        return DiffusersModel(spec, store)


def _decodes_apart(spec: DiffusersSpec, known: Facts) -> bool:
    """Whether each latent frame is decoded by itself; not where the decoder is not on this machine yet."""
    from flowsynth.models.families.diffusers.formats import RULES, decoder_config

    try:
        return known.space_is_pixels or RULES[decoder_config(spec, known, offline=True)[0]].apart
    except (FlowsynthError, KeyError):
        return False


FAMILY = Diffusers
