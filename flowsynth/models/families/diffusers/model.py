"""A loaded diffusers pipeline: its call in three steps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from flowsynth.core.canonical import Json, digest_json
from flowsynth.core.errors import RequestError, RunError
from flowsynth.core.filehash import file_hash
from flowsynth.models.families.diffusers.facts import Facts, facts
from flowsynth.models.families.diffusers.formats import PIXELS, latent_format
from flowsynth.models.families.diffusers.index import part_classes
from flowsynth.models.families.diffusers.ports import picture_arguments, stand_ins
from flowsynth.models.families.diffusers.progress import watch
from flowsynth.models.families.diffusers.seams import Cut, TextCalls, stop_after_text, stop_at_decoder
from flowsynth.models.families.diffusers.spec import DiffusersSpec
from flowsynth.models.families.diffusers.tree import flatten, rebuild, strided
from flowsynth.models.quiet import ignore_library_warnings, quiet
from flowsynth.models.requests import DecodeSettings, DenoiseRequest, DenoiseSettings, Hooks, TextRequest
from flowsynth.models.weights import tensor_bytes

if TYPE_CHECKING:
    import torch
    from torch import nn

    from flowsynth.models.protocol import PartStore
    from flowsynth.values import Conditioning, Latents

#: Arguments that turn guidance on, and what does so; the text is encoded for both cases.
_GUIDANCE = ("guidance_scale", "true_cfg_scale")
_ON, _OFF = 5.0, 1.0
#: Whole clips are cut at the decoder, and sizes are what the graph says.
_FIXED = {"decode_chunk_size": 1 << 20, "use_resolution_binning": False}


class DiffusersModel:
    """A pipeline whose networks are loaded when they are first called, through its device's manager."""

    def __init__(self, spec: DiffusersSpec, store: PartStore) -> None:
        """Open a pipeline; nothing is loaded yet."""
        self.spec, self._store = spec, store
        self._keys: set[str] = set()

    def part_keys(self) -> frozenset[str]:
        """Keys of the parts that this model has used."""
        return frozenset(self._keys)

    @property
    def facts(self) -> Facts:
        """What the pipeline's class can do."""
        return facts(self.spec.class_name(offline=self._store.offline))

    @cached_property
    def dtype(self) -> torch.dtype:
        """Dtype of the networks: ``auto`` is float16 on CUDA, else float32."""
        import torch

        name = self.spec.dtype
        if name == "auto":
            name = "float16" if self._store.device.startswith("cuda") else "float32"
        found: torch.dtype = getattr(torch, name)
        return found

    # --- parts ------------------------------------------------------------------------------------------

    def network(self, name: str, load: Callable[[], nn.Module]) -> nn.Module:
        """The real network of a part, from the store: keyed by the content of its files, not their place."""
        memo = None if self._store.cache_dir is None else self._store.cache_dir / "file_hashes"
        folder = self.spec.part_folder(name, offline=self._store.offline)
        content: list[Json] = [
            [path.name, file_hash(path, memo)] for path in sorted(folder.iterdir()) if path.is_file()
        ]
        kind = list(self._parts[name])
        key = digest_json(["diffusers", name, kind, content, str(self.dtype)])
        self._keys.add(key)
        files = list(folder.glob("*.safetensors"))
        return self._store.part(
            key, load, lambda: sum(tensor_bytes(file, self.dtype.itemsize) for file in files)
        )

    def _pipe(self) -> Any:
        """A pipeline object for one call."""
        import diffusers

        from flowsynth.models.families.diffusers.pipe import assemble

        offline = self._store.offline
        ignore_library_warnings()
        cls = getattr(diffusers, self.facts.name)
        index = self.spec.index(offline=offline)
        folders = {name: self.spec.part_folder(name, offline=offline) for name in part_classes(index)}
        with quiet():
            return assemble(cls, folders, index, self, self.dtype, self._store.device)

    @property
    def _parts(self) -> Mapping[str, tuple[str, str]]:
        return part_classes(self.spec.index(offline=self._store.offline))

    # --- the verbs --------------------------------------------------------------------------------------

    def encode_text(self, request: TextRequest, hooks: Hooks) -> Conditioning:
        """What the pipeline's own text encoding gives, with guidance and without."""
        from flowsynth.values import Conditioning

        known, pipe, texts = self.facts, self._pipe(), TextCalls()
        words = _words(request)
        texts.record(pipe, known.text_method)
        stop_after_text(pipe, texts)
        for scale in (None, _ON, _OFF):
            hooks.check()
            guidance = {name: scale for name in _GUIDANCE if name in known.arguments and scale is not None}
            guidance |= {name: value for name, value in _FIXED.items() if name in known.arguments}
            with _cut(), _own_randomness(0):
                pipe(**stand_ins(known), **words, **guidance)
        tensors: dict[str, torch.Tensor] = {}
        calls: dict[str, Json] = {
            key: flatten(value, tensors, f"text{i}") for i, (key, value) in enumerate(texts.results.items())
        }
        return Conditioning(self.spec.family, tensors, {"words": dict(words), "calls": calls})

    def denoise(self, request: DenoiseRequest) -> Latents:
        """The pipeline's own call, from the noise to what its decoder was about to get."""
        known, pipe = self.facts, self._pipe()
        if known.text_method and request.conditioning is not None:
            texts = TextCalls(_replayed(request.conditioning, self._store.device))
            texts.replay(pipe, known.text_method)
        self._reschedule(pipe, request.settings)
        watch(pipe, request.hooks)
        if not known.space_is_pixels:
            stop_at_decoder(getattr(pipe, known.decoder))
        seed = request.settings.seed
        if not isinstance(seed, int):
            raise RequestError("denoise: a diffusers pipeline takes one seed, not one a frame")
        arguments = self._arguments(request)
        with _own_randomness(seed), _cut() as cut:
            given = pipe(**arguments, generator=_generator(seed), output_type="np")
        return self._pixels(given, request) if not cut else self._latents(cut[0], request)

    def decode_latents(self, latents: Latents, settings: DecodeSettings) -> torch.Tensor:
        """Frames T x 3 x H x W in [0, 1], by the pipeline's decoder with the arguments that it was to get."""
        import torch

        del settings
        if latents.space == PIXELS:
            return latents.tensor
        network = self._decoder()
        extra = latents.decoder if isinstance(latents.decoder, dict) else {}
        data = latents.tensor.to(self._store.device)
        if extra.get("rank") == 5:
            data = data.transpose(0, 1)[None]
        if extra.get("strides"):
            data = strided(data, extra["strides"])
        if data.dtype != network.dtype:  # a decoder that overflows in half precision was to run in full
            network = copy.deepcopy(network).to(data.dtype)
        arguments = rebuild(extra.get("arguments"), {}) or {}
        with torch.no_grad():
            made = network.decode(data, **_tensors(arguments, data))
        pixels: torch.Tensor = made[0] if isinstance(made, tuple) else made["sample"]
        frames = pixels[0].transpose(0, 1) if pixels.ndim == 5 else pixels
        return (frames.float() / 2 + 0.5).clamp(0, 1)

    # --- between ----------------------------------------------------------------------------------------

    def _decoder(self) -> Any:
        from flowsynth.models.families.diffusers.parts import class_of, network_loader

        name = self.facts.decoder
        cls = class_of(*self._parts[name])
        folder = self.spec.part_folder(name, offline=self._store.offline)
        return self.network(name, network_loader(cls, folder, self.dtype, self._store.device))

    def _arguments(self, request: DenoiseRequest) -> dict[str, Any]:
        known, settings, latents = self.facts, request.settings, request.latents
        words = request.conditioning.meta["words"] if request.conditioning is not None else {}
        count = latents.frames or latents.num_frames
        sizes = {"height": latents.height, "width": latents.width, "num_frames": count, "video_length": count}
        asked = {
            "num_inference_steps": settings.num_inference_steps,
            "guidance_scale": settings.guidance_scale,
            "strength": settings.strength,
        }
        given = {**sizes, **_FIXED, **{name: value for name, value in asked.items() if value is not None}}
        pictures = picture_arguments(known, request.pictures)
        control = self._control_arguments(request)
        return {
            **{name: value for name, value in given.items() if name in known.arguments},
            **control,
            **dict(settings.options),
            **(words if isinstance(words, dict) else {}),
            **pictures,
        }

    def _reschedule(self, pipe: Any, settings: DenoiseSettings) -> None:
        """Put another scheduler in the place of the pipeline's, or its own with other options."""
        from flowsynth.models.diffusion.schedulers import make_scheduler, with_options

        if settings.scheduler is not None:
            base = {**pipe.scheduler.config, "_class_name": type(pipe.scheduler).__name__}
            pipe.scheduler = make_scheduler(settings.scheduler, base, settings.scheduler_options)
        elif settings.scheduler_options:
            pipe.scheduler = with_options(pipe.scheduler, settings.scheduler_options)

    def _control_arguments(self, request: DenoiseRequest) -> dict[str, Any]:
        known, settings = self.facts, request.settings
        if not request.pictures.get("control"):
            return {}
        named = {
            "controlnet_conditioning_scale": settings.control_scale,
            "control_guidance_start": settings.control_start,
            "control_guidance_end": settings.control_end,
        }
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in named.items()
            if name in known.arguments
        }

    def _latents(self, cut: Cut, request: DenoiseRequest) -> Latents:
        from dataclasses import replace

        data: torch.Tensor = cut.args[0]
        rank = data.ndim
        if rank == 5:
            if data.shape[0] != 1:
                raise RunError(f"{self.facts.name}: expected one clip, its call made {data.shape[0]}")
            data = data[0].transpose(0, 1)
        names = ("z", "temb", "return_dict")[1 : len(cut.args)]
        arguments = {**dict(zip(names, cut.args[1:], strict=False)), **cut.kwargs}
        arguments.pop("generator", None)
        decoder: Json = {
            "rank": rank,
            "strides": list(cut.args[0].stride()),
            "arguments": flatten(_listed(arguments), {}),
        }
        form = latent_format(self.spec, offline=self._store.offline)
        given = request.latents
        return replace(given, data=data.contiguous().cpu(), space=form.space, empty=False, decoder=decoder)

    def _pixels(self, given: Any, request: DenoiseRequest) -> Latents:
        from dataclasses import replace

        import torch

        made = torch.as_tensor(given[0])  # N or 1 x T, then H x W x C, in [0, 1]
        frames = (made[0] if made.ndim == 5 else made).movedim(-1, 1).float().contiguous()
        height, width = frames.shape[-2:]
        return replace(request.latents, data=frames, space=PIXELS, empty=False, height=height, width=width)


def _words(request: TextRequest) -> dict[str, Json]:
    """The prompts and text options of a request, as a pipeline's call takes them."""
    prompts = {"prompt": request.prompt, "negative_prompt": request.negative_prompt}
    words: dict[str, Json] = {}
    for name, by_frame in prompts.items():
        if len(by_frame) > 1:
            raise RequestError(
                f"text_encode: {name}: a diffusers pipeline takes one prompt, not one by frame"
            )
        text = next(iter(by_frame.values()), "")
        if text or name == "prompt":
            words[name] = text
    return {**words, **request.options}


def _replayed(conditioning: Conditioning, device: str) -> dict[str, Any]:
    calls = conditioning.meta.get("calls")
    if not isinstance(calls, dict):
        raise RequestError("denoise: expected the conditioning that text_encode makes with this family")
    tensors = {name: tensor.to(device) for name, tensor in conditioning.tensors.items()}
    return {key: rebuild(tree, tensors) for key, tree in calls.items()}


def _generator(seed: int) -> torch.Generator:
    import torch

    return torch.Generator("cpu").manual_seed(seed)


@contextmanager
def _cut() -> Iterator[list[Cut]]:
    """Take the cut that ends a call; the list stays empty if the call ran to its end."""
    found: list[Cut] = []
    try:
        yield found
    except Cut as cut:
        found.append(cut)


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    """Some classes draw from the global generator: seeded, and left as it was."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def _listed(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A decoder's further arguments with tensors, which are small there, as lists of numbers."""
    import torch

    return {
        name: {"tensor": value.tolist(), "dtype": str(value.dtype).removeprefix("torch.")}
        if isinstance(value, torch.Tensor)
        else value
        for name, value in arguments.items()
    }


def _tensors(arguments: Mapping[str, Any], like: torch.Tensor) -> dict[str, Any]:
    """The inverse of `_listed`."""
    import torch

    return {
        name: torch.tensor(value["tensor"], dtype=getattr(torch, value["dtype"]), device=like.device)
        if isinstance(value, dict) and "tensor" in value
        else value
        for name, value in arguments.items()
    }
