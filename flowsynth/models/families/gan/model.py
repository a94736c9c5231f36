"""A loaded generator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowsynth.core.canonical import digest_json
from flowsynth.core.errors import InputError, RequestError
from flowsynth.core.filehash import file_hash
from flowsynth.models.families.gan.spec import GanOptions, GanSpec
from flowsynth.models.options import options_of
from flowsynth.models.protocol import Generated, PartStore
from flowsynth.models.requests import GenerateRequest, GenerateSettings
from flowsynth.models.weights import read_weights, tensor_bytes
from flowsynth.nets.generator import PictureGenerator
from flowsynth.nets.roles import GENERATION, TRANSLATION
from flowsynth.nets.translator import PictureTranslator

if TYPE_CHECKING:
    import torch

    from flowsynth.values import Frames


class GanModel:
    """A model of family ``gan``."""

    def __init__(self, spec: GanSpec, store: PartStore) -> None:
        """Open it; nothing is read yet."""
        self.spec, self._store = spec, store
        self._keys: set[str] = set()

    def part_keys(self) -> frozenset[str]:
        """The network's key, once it was used."""
        return frozenset(self._keys)

    def generate(self, request: GenerateRequest) -> Generated:
        """Pictures; see `Generates.generate`."""
        import torch

        network = self._network()
        options = options_of(request.settings, GanOptions)
        with torch.inference_mode():
            if isinstance(network, PictureTranslator):
                return Generated(self._translated(network, request, options).clone())
            return Generated(self._drawn(network, request, options).clone())

    def _drawn(self, net: PictureGenerator, request: GenerateRequest, options: GanOptions) -> torch.Tensor:
        """One after the other, each by a seed of its own: a picture is the same however many are made."""
        import torch

        asked = request.settings
        if request.image is not None:
            raise RequestError("generate: this model has no use for a picture; take the edge to `image` out")
        labels = _labels(net, asked, self._store.device)
        made = []
        for number in range(asked.num_images):
            request.hooks.check()
            request.hooks.progress(number, asked.num_images)
            chance = torch.Generator().manual_seed((asked.seed + number) % 2**32)
            z = net.draw(1, options.truncation, chance).to(self._store.device, _dtype(net))
            noise = chance if options.noise == "random" else None
            made.append(net(z, labels, options.truncation, noise).float())
        return torch.cat(made)

    def _translated(
        self, net: PictureTranslator, request: GenerateRequest, options: GanOptions
    ) -> torch.Tensor:
        """Frame by frame, all by the same seed."""
        import torch

        if request.image is None:
            raise RequestError("generate: this model makes pictures of pictures; expected an edge to `image`")
        made, total = [], request.image.num_frames
        for number in range(total):
            request.hooks.check()
            request.hooks.progress(number, total)
            frame = _read(net, request.image, number, self._store.device)
            chance = torch.Generator(self._store.device).manual_seed(request.settings.seed)
            made.append(net(frame, chance if options.dropout else None).float())
        return torch.cat(made) if made else torch.empty(0, 3, *request.image.frame_shape[-2:])

    def _network(self) -> PictureGenerator | PictureTranslator:
        from flowsynth.models.networks import torch_dtype

        path = self.spec.checkpoint()
        dtype = torch_dtype(self.spec.dtype, self._store.device)
        key = digest_json(["gan", file_hash(path), str(dtype)])
        self._keys.add(key)

        def load() -> torch.nn.Module:
            return self._built().to(device=self._store.device, dtype=dtype)

        found = self._store.part(key, load, lambda: tensor_bytes(path, dtype.itemsize))
        assert isinstance(found, (PictureGenerator, PictureTranslator))
        return found

    def _built(self) -> PictureGenerator | PictureTranslator:
        from flowsynth.nets.loading import unwrapped
        from flowsynth.nets.registry import build_network, known

        path = self.spec.checkpoint()
        state = unwrapped(read_weights(path))
        translators = known().by_role[TRANSLATION.name].values()
        try:
            if any(network.fits(state) for network in translators):
                return build_network(TRANSLATION, state)
            return build_network(GENERATION, state)
        except ValueError as error:
            raise InputError(f"{path}: {error}") from error


def _dtype(network: PictureGenerator | PictureTranslator) -> torch.dtype:
    return next(network.parameters()).dtype


def _labels(net: PictureGenerator, asked: GenerateSettings, device: str) -> torch.Tensor | None:
    """The class as the network takes it; a pickled file shows only here what it has."""
    import torch

    label = asked.class_label
    if not net.num_classes:
        if label is not None:
            raise RequestError(f"generate: params.class_label: this model has no classes; given {label}")
        return None
    if label is None or label >= net.num_classes:
        raise RequestError(
            f"generate: params.class_label: expected 0 to {net.num_classes - 1}; given {label}"
        )
    return torch.tensor([label], device=device)


def _read(net: PictureTranslator, image: Frames, number: int, device: str) -> torch.Tensor:
    """A frame as the network reads it, (1, C, H, W).

    Raises:
        RequestError: labels that are no grey frames of whole numbers.
    """
    import torch

    from flowsynth.values.frames import as_float, as_rgb

    frame = image.frame(number)[None]
    if net.reads == "labels":
        if frame.dtype != torch.uint8 or (frame[:, :1] != frame).any():
            raise RequestError(
                "generate: image: expected labels, grey frames of uint8 whose values are numbers of classes;"
                f" given {frame.shape[1]} channels of {frame.dtype}"
            )
        return frame[:, :1].to(device)
    return as_float(as_rgb(frame).to(device)).to(_dtype(net))
