"""A loaded VideoGPT."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from flowsynth.core.canonical import digest_json
from flowsynth.core.errors import InputError, RequestError
from flowsynth.core.filehash import file_hash
from flowsynth.models.families.videogpt.spec import VideoGptOptions, VideoGptSpec
from flowsynth.models.options import options_of
from flowsynth.models.protocol import Generated, PartStore
from flowsynth.models.requests import GenerateRequest, GenerateSettings
from flowsynth.models.weights import read_weights, tensor_bytes

if TYPE_CHECKING:
    import torch

    from flowsynth.nets.clip_generation.videogpt import VideoGpt
    from flowsynth.values import Frames


class VideoGptModel:
    """A model of family ``videogpt``."""

    def __init__(self, spec: VideoGptSpec, store: PartStore) -> None:
        """Open it; nothing is read yet."""
        self.spec, self._store = spec, store
        self._keys: set[str] = set()

    def part_keys(self) -> frozenset[str]:
        """The network's key, once it was used."""
        return frozenset(self._keys)

    def generate(self, request: GenerateRequest) -> Generated:
        """Clips, one after another; see `Generates.generate`."""
        import torch

        network, asked = self._network(), request.settings
        with torch.inference_mode():
            first = self._first(network, request.image)
            label = self._label(network, asked)
            clips = [self._clip(network, request, number, label, first) for number in range(asked.num_images)]
        return Generated(torch.cat(clips).clone(), Fraction(self.spec.fps).limit_denominator(1000))

    def _clip(
        self,
        network: VideoGpt,
        request: GenerateRequest,
        number: int,
        label: torch.Tensor | None,
        first: torch.Tensor | None,
    ) -> torch.Tensor:
        """Frames of one clip, by a seed of its own: it is the same however many are made."""
        import torch

        options = options_of(request.settings, VideoGptOptions)
        chance = torch.Generator().manual_seed((request.settings.seed + number) % 2**32)
        shape = network.sizes.shape
        codes: list[torch.Tensor] = []
        count = shape[0] * shape[1] * shape[2]

        def choose(logits: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
            return _chosen(logits, chance, options)

        for code in network.sample(chance, choose, label, first):
            request.hooks.check()
            request.hooks.progress(number * count + len(codes), request.settings.num_images * count)
            codes.append(code)
        drawn = torch.cat(codes).view(1, *shape).to(network.fc_in.weight.device)
        clip = network.vqvae.decode(drawn).float().clamp(-0.5, 0.5) + 0.5
        return clip[0].movedim(1, 0)

    def _first(self, network: VideoGpt, image: Frames | None) -> torch.Tensor | None:
        """The frames that a clip begins with, (1, 3, frames, H, W) in [-0.5, 0.5].

        Raises:
            RequestError: too few, or of another size than the clip's.
        """
        import torch

        from flowsynth.values.frames import as_float

        count = network.sizes.first[0]
        if not count:
            if image is not None:
                raise RequestError("generate: image: this model begins with nothing; take the edge out")
            return None
        if image is None:
            raise RequestError(f"generate: image: expected {count} frames that the clip goes on from")
        size = network.clip_size[1:]
        if image.num_frames < count or (image.height, image.width) != size:
            given = f"{image.num_frames} of {image.width}x{image.height}"
            raise RequestError(
                f"generate: image: expected {count} frames of {size[1]}x{size[0]} (resize), given {given}"
            )
        frames = torch.cat([image.frame(k)[None] for k in range(count)])
        rgb = frames.expand(-1, 3, -1, -1) if frames.shape[1] == 1 else frames[:, :3]
        weight = network.fc_in.weight
        return (as_float(rgb.to(weight.device)) - 0.5).to(weight.dtype).movedim(0, 1)[None]

    def _label(self, network: VideoGpt, asked: GenerateSettings) -> torch.Tensor | None:
        """The class; a pickled file shows only here what it has."""
        import torch

        classes, label = network.sizes.classes, asked.class_label
        if not classes:
            if label is not None:
                raise RequestError(f"generate: params.class_label: this model has no classes; given {label}")
            return None
        if label is None or label >= classes:
            raise RequestError(f"generate: params.class_label: expected 0 to {classes - 1}; given {label}")
        return torch.tensor([label], device=network.fc_in.weight.device)

    def _network(self) -> VideoGpt:
        from flowsynth.models.networks import torch_dtype
        from flowsynth.nets.clip_generation.videogpt import VideoGpt

        path = self.spec.checkpoint()
        dtype = torch_dtype(self.spec.dtype, self._store.device)
        told = [str(dtype), self.spec.heads, self.spec.strides]
        key = digest_json(["videogpt", file_hash(path), told])
        self._keys.add(key)

        def load() -> torch.nn.Module:
            return self._built().to(device=self._store.device, dtype=dtype)

        found = self._store.part(key, load, lambda: tensor_bytes(path, dtype.itemsize))
        assert isinstance(found, VideoGpt)
        return found

    def _built(self) -> VideoGpt:
        from flowsynth.nets.clip_generation.videogpt import videogpt_from_state
        from flowsynth.nets.loading import unwrapped

        path = self.spec.checkpoint()
        state = unwrapped(read_weights(path))
        try:
            return videogpt_from_state(state, self.spec.heads, self.spec.strides)
        except (ValueError, KeyError) as error:
            told = f"no tensor {error}" if isinstance(error, KeyError) else error
            raise InputError(f"{path}: {told}") from error


def _chosen(logits: torch.Tensor, chance: torch.Generator, options: VideoGptOptions) -> torch.Tensor:
    """A code, (1,), of logits (1, codes)."""
    import torch

    if options.temperature == 0:
        return logits.argmax(-1)
    if options.top_k is not None and options.top_k < logits.shape[-1]:
        least = logits.topk(options.top_k).values[:, -1:]
        logits = logits.masked_fill(logits < least, float("-inf"))
    return torch.multinomial((logits / options.temperature).softmax(-1), 1, generator=chance)[:, 0]
