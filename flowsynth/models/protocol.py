"""What a model family is: the one contract between operators and models.

A family reads a model's declaration (a :class:`ModelSpec` of its own), says before a run what that model can
do, and opens it; a loaded model has one method a verb. Operators ask for a verb by its protocol, never for a
family. A verb to come (`speak`) is one more protocol here, and one more class of what is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol, TypeVar, runtime_checkable

from pydantic import JsonValue

from flowsynth.core.errors import Fault
from flowsynth.core.streams import StreamKind
from flowsynth.models.latent_format import LatentFormat
from flowsynth.models.options import Options
from flowsynth.models.requests import (
    Asked,
    DecodeSettings,
    DenoiseRequest,
    DenoiseSettings,
    EncodeSettings,
    GenerateRequest,
    Hooks,
    TextRequest,
)
from flowsynth.models.spec import ModelSpec

if TYPE_CHECKING:
    import torch

    from flowsynth.values import Audio, Conditioning, Latents

T = TypeVar("T")
SpecT = TypeVar("SpecT", bound=ModelSpec, contravariant=True)


class PartStore(Protocol):
    """Where a loaded model keeps its networks: shared by all models of one device, evicted by use."""

    device: str
    cache_dir: Path | None
    offline: bool

    def part(self, key: str, load: Callable[[], T], nbytes: Callable[[], int] | None = None) -> T:
        """The network under a key, loaded if it is not resident; `nbytes` says what it will need."""
        ...


class LoadedModel(Protocol):
    """An open model; its networks are loaded when they are first used."""

    def part_keys(self) -> frozenset[str]:
        """Keys of the parts in the store that it has used."""
        ...


@runtime_checkable
class EncodesText(LoadedModel, Protocol):
    """Has the verb `text_encode`."""

    def encode_text(self, request: TextRequest, hooks: Hooks) -> Conditioning:
        """Tensors and JSON of the family's own making, which its `denoise` takes."""
        ...


@runtime_checkable
class EncodesFrames(LoadedModel, Protocol):
    """Has the verb `vae_encode`."""

    def encode_frames(self, frames_TCHW: torch.Tensor, settings: EncodeSettings) -> torch.Tensor:
        """Latents T' x C x h x w in the denoiser's scale, of RGB frames in [0, 1]; any size is padded.

        Where the latents' format is by frame it may be given any part of a clip, else the whole.
        """
        ...


@runtime_checkable
class DecodesLatents(LoadedModel, Protocol):
    """Has the verb `vae_decode`."""

    def decode_latents(self, latents: Latents, settings: DecodeSettings) -> torch.Tensor:
        """Frames T x 3 x H x W, float32 in [0, 1], of latents in the denoiser's scale.

        Where the latents' format is by frame it may be given any part of a clip, else the whole.
        """
        ...


@runtime_checkable
class DecodesSound(LoadedModel, Protocol):
    """Has the verb `audio_decode`."""

    def decode_sound(self, latents: Latents) -> Audio:
        """The sound that a clip's latents hold beside its pictures."""
        ...


@runtime_checkable
class Denoises(LoadedModel, Protocol):
    """Has the verb `denoise`."""

    def denoise(self, request: DenoiseRequest) -> Latents:
        """Latents for those of the request, T' x C x h x w, not empty, on any device."""
        ...


class Generated(NamedTuple):
    """What `generate` makes.

    Attributes:
        pictures: N x 3 x H x W, float in [0, 1].
        fps: of clips, one after another; None for pictures.
    """

    pictures: torch.Tensor
    fps: Fraction | None = None


@runtime_checkable
class Generates(LoadedModel, Protocol):
    """Has the verb `generate`: pictures in one go, or token by token, without denoising."""

    def generate(self, request: GenerateRequest) -> Generated:
        """Pictures, one for each frame of the request's image where it translates; or clips."""
        ...


@dataclass(frozen=True, slots=True)
class Verb:
    """What is known of a verb of a model before a run.

    Attributes:
        options: its own options.
        stream: how it treats time, where that is not as the operator says of itself.
    """

    options: type[Options] = Options
    stream: StreamKind | None = None


@runtime_checkable
class Family(Protocol[SpecT]):
    """A model family. All but `open` answer without torch, from the declaration and small local files.

    Attributes:
        name: in ``models:`` of a graph.
        spec_type: what its entries there are read as.
        verbs: what its models can do, by the name of the operator.
    """

    name: ClassVar[str]
    spec_type: ClassVar[type[ModelSpec]]
    verbs: ClassVar[Mapping[str, Verb]]

    def fingerprint(self, spec: SpecT, memo: Path | None, parts: tuple[str, ...] = ()) -> str:
        """Identity of everything that a model loads: weights, configurations, adapters, scales.

        Args:
            spec: the model.
            memo: folder in which hashes of large files are remembered.
            parts: ``text``, ``vae``, ``denoiser``: only what these depend on; a family that makes no
                difference between them may ignore it.
        """
        ...

    def open(self, spec: SpecT, store: PartStore) -> LoadedModel:
        """The model; nothing is loaded before it is used."""
        ...

    def verb(self, spec: SpecT, name: str) -> Verb | None:
        """What a model makes of a verb; None where it has none of that name."""
        del spec
        return self.verbs.get(name)

    def check_spec(self, spec: SpecT) -> list[Fault]:
        """What small files on this machine show to be wrong with a declaration, with paths relative to it.

        What is not here (yet) is no fault.
        """
        del spec
        return []

    def check(self, spec: SpecT, asked: Asked, inputs: Mapping[str, int]) -> list[Fault]:
        """What a model cannot do of what is asked. Names and types of options were looked at before.

        Args:
            spec: the model.
            asked: what the node's parameters say, as the class of its verb.
            inputs: port -> how many edges feed it.

        Returns:
            Faults with paths relative to the node, such as ``params.window`` and ``inputs.control``.
        """
        del spec, asked, inputs
        return []

    def control_frames(self, spec: SpecT, asked: DenoiseSettings) -> int | None:
        """Frames of a control, where a model takes some key frames alone; None where it takes all."""
        del spec, asked
        return None

    def latent_format(self, spec: SpecT, *, offline: bool = False) -> LatentFormat | None:
        """The latents of a model; None for a family without.

        Raises:
            InputError: a configuration is missing (with `offline`: not on this machine).
        """
        del spec, offline
        return None

    def weight_bytes(self, spec: SpecT, parts: tuple[str, ...]) -> int | None:
        """Bytes of the weights that a step holds on its device, from the headers of files that are here.

        Args:
            spec: the model, its dtype that of the device.
            parts: ``text``, ``vae``, ``denoiser``: what the step depends on.

        Returns:
            None where the family cannot tell.

        Raises:
            InputError: a file is missing.
        """
        del spec, parts
        return None

    def describe(self, spec: SpecT) -> dict[str, JsonValue]:
        """What `flowsynth model` says beside verbs, options and sizes: class, parts, ports, licence."""
        del spec
        return {}

    def scheduler_names(self, spec: SpecT) -> Sequence[str]:
        """What `denoise` takes as a scheduler."""
        del spec
        return ()
