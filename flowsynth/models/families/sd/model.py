"""A loaded model of the Stable Diffusion 1.x and 2.x family."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.core.canonical import Json
from flowsynth.core.errors import RequestError, did_you_mean, listing
from flowsynth.fetch.source import Source
from flowsynth.models.diffusion.deep_cache import interval_of
from flowsynth.models.diffusion.lora.declared import lora_identity
from flowsynth.models.families.sd.components import component_config, component_source
from flowsynth.models.families.sd.identity import part_identity, part_key, word_identity
from flowsynth.models.families.sd.options import SdDenoiseOptions, SdTextOptions
from flowsynth.models.families.sd.spec import SdSpec
from flowsynth.models.options import options_of
from flowsynth.models.requests import (
    DecodeSettings,
    DeflickerRequest,
    DenoiseRequest,
    EncodeSettings,
    Hooks,
    TextRequest,
)

if TYPE_CHECKING:
    import torch

    from flowsynth.models.diffusion.control import Control
    from flowsynth.models.diffusion.x0 import CleanEdit
    from flowsynth.models.families.sd.regional import Regions
    from flowsynth.models.families.sd.text import TextEncoder
    from flowsynth.models.protocol import PartStore
    from flowsynth.values import Conditioning, Latents


class SdModel:
    """A model whose networks are loaded when they are first used, through its device's manager.

    Variants (LoRA, learned words) are networks of their own that share the base's tensors.
    """

    def __init__(self, spec: SdSpec, store: PartStore) -> None:
        """Open a model; nothing is loaded yet."""
        self.spec, self._store = spec.on(store.device), store
        self.device = store.device
        self._keys: set[str] = set()

    @cached_property
    def dtype(self) -> torch.dtype:
        """Dtype of the networks."""
        import torch

        found: torch.dtype = getattr(torch, self.spec.dtype)
        return found

    def part_keys(self) -> frozenset[str]:
        """Keys of the parts that this model has used."""
        return frozenset(self._keys)

    def _part(
        self, kind: str, identity: Json, load: Callable[[], Any], nbytes: Callable[[], int] | None = None
    ) -> Any:
        key = part_key(kind, identity, str(self.dtype))
        self._keys.add(key)
        return self._store.part(key, load, nbytes)

    @property
    def _memo(self) -> Path | None:
        return None if self._store.cache_dir is None else self._store.cache_dir / "file_hashes"

    def _identity(self, kind: str, source: Source) -> Json:
        return part_identity(source, kind, self._memo)

    def _network(self, kind: str, source: Source) -> Any:
        """A base network, without adapters."""
        identity = self._identity(kind, source)
        return self._part(kind, identity, lambda: self._load(kind, source), lambda: self._bytes(kind, source))

    def _bytes(self, kind: str, source: Source) -> int:
        """What a network will take."""
        from flowsynth.models.families.sd.parts import network_bytes

        return network_bytes(kind, source, self._dtype_of(kind).itemsize, offline=self._store.offline)

    def _dtype_of(self, kind: str) -> torch.dtype:
        import torch

        return torch.float32 if kind == "vae" and self._upcast_vae() else self.dtype

    def _load(self, kind: str, source: Source) -> Any:
        from flowsynth.models.families.sd.parts import load_network

        return load_network(kind, source, self._dtype_of(kind), self.device, offline=self._store.offline)

    def _upcast_vae(self) -> bool:
        """Some VAEs overflow in float16; their configuration says so."""
        config = component_config(self.spec, "vae", offline=self._store.offline)
        return str(self.dtype) == "torch.float16" and bool(config.get("force_upcast", False))

    @property
    def vae(self) -> Any:
        """``AutoencoderKL``."""
        return self._network("vae", component_source(self.spec, "vae"))

    @property
    def unet(self) -> Any:
        """``UNet2DConditionModel``, or ``UNetMotionModel`` with a motion adapter; with the spec's LoRAs."""
        source = component_source(self.spec, "unet")
        if self.spec.motion is None and not self.spec.loras:
            return self._network("unet", source)
        motion = None if self.spec.motion is None else self._identity("motion", self.spec.motion)
        identity = [self._identity("unet", source), motion, self.spec.motion_norm, self._lora_identity()]
        return self._part("unet_variant", identity, self._load_unet, self._unet_bytes)

    def _unet_bytes(self) -> int:
        """What the variant takes beside the base, whose tensors it shares but with motion modules."""
        if self.spec.motion is None:
            return 0
        unet = self._bytes("unet", component_source(self.spec, "unet"))
        return unet + self._bytes("motion", self.spec.motion)

    def _load_unet(self) -> Any:
        from flowsynth.models.diffusion.lora.apply import with_loras
        from flowsynth.models.families.sd.adapters import lora_adapters, with_motion
        from flowsynth.models.families.sd.parts import laid_out

        source = component_source(self.spec, "unet")
        if self.spec.motion is None:
            unet = self._network("unet", source)
        else:
            # The motion UNet holds its own copy of the weights: the plain one is not kept beside it.
            adapter = self._load("motion", self.spec.motion)
            unet = laid_out(with_motion(self._load("unet", source), adapter, self.spec.motion_norm))
        return with_loras(unet, "unet", lora_adapters(self.spec.loras, offline=self._store.offline))

    def _lora_identity(self) -> list[Json]:
        return [[lora_identity(lora, self._memo), lora.scale] for lora in self.spec.loras]

    @property
    def text_encoder(self) -> TextEncoder:
        """The text encoder with the spec's LoRAs and learned words, and its tokenizer."""
        from flowsynth.models.families.sd.text import TextEncoder

        return TextEncoder(self._text_net(), self._tokenizer(), self._words()[1])

    def _text_net(self) -> Any:
        source = component_source(self.spec, "text_encoder")
        if not self.spec.loras and not self.spec.textual_inversion:
            return self._network("text_encoder", source)
        words: list[Json] = [word_identity(word, self._memo) for word in self.spec.textual_inversion]
        identity = [self._identity("text_encoder", source), self._lora_identity(), words]
        return self._part("text_encoder_variant", identity, self._load_text_variant)

    def _load_text_variant(self) -> Any:
        from flowsynth.models.diffusion.lora.apply import with_loras
        from flowsynth.models.families.sd.adapters import lora_adapters, with_words

        net = self._network("text_encoder", component_source(self.spec, "text_encoder"))
        adapters = lora_adapters(self.spec.loras, offline=self._store.offline)
        net = with_loras(net, "text_encoder", adapters)
        return with_words(net, self._words()[0])

    def _words(self) -> tuple[list[Any], dict[str, tuple[int, ...]]]:
        """Learned words with their vectors, and the ids that follow the base's vocabulary."""
        if not self.spec.textual_inversion:
            return [], {}
        return self._read_words

    @cached_property
    def _read_words(self) -> tuple[list[Any], dict[str, tuple[int, ...]]]:
        from flowsynth.models.families.sd.adapters import read_embedding, word_ids

        config = component_config(self.spec, "text_encoder", offline=self._store.offline)
        words = [read_embedding(t, offline=self._store.offline) for t in self.spec.textual_inversion]
        return words, word_ids(words, int(config["vocab_size"]))

    def _tokenizer(self) -> Any:
        from flowsynth.models.families.sd.parts import load_tokenizer

        source = component_source(self.spec, "tokenizer")
        identity = self._identity("tokenizer", source)
        return self._part("tokenizer", identity, lambda: load_tokenizer(source, offline=self._store.offline))

    def controlnet(self, name: str) -> Any:
        """A ControlNet by its name in the spec.

        Raises:
            RequestError: the spec names no such ControlNet.
        """
        names = list(self.spec.controlnets)
        if name not in names:
            hint = did_you_mean(name, names)
            raise RequestError(f"no ControlNet {name!r} in this model; it has {listing(names)}{hint}")
        return self._network("controlnet", self.spec.controlnets[name])

    def scheduler(self, name: str | None = None, overrides: Mapping[str, Any] | None = None) -> Any:
        """A fresh scheduler: the model's config, the spec's choice, then the caller's.

        Raises:
            RequestError: an unknown scheduler or option.
        """
        from flowsynth.models.diffusion.schedulers import make_scheduler

        base = component_config(self.spec, "scheduler", offline=self._store.offline)
        chosen = self.spec.scheduler
        if name is None or name == chosen.name:
            return make_scheduler(chosen.name, base, {**chosen.options, **(overrides or {})})
        # Another scheduler takes those of the model's options that it knows, such as beta_schedule.
        return make_scheduler(name, {**base, **chosen.options}, overrides)

    def encode_text(self, request: TextRequest, hooks: Hooks) -> Conditioning:
        """States of both prompts in one go, so that they get one length; see :mod:`.text`."""
        from flowsynth.models.families.sd.text import prompt_notes
        from flowsynth.values import Conditioning

        options = options_of(request, SdTextOptions)
        prompt, negative = request.prompt, request.negative_prompt
        texts = [*prompt.values(), *negative.values()]
        for note in prompt_notes([word for word, _ in self._words()[0]], texts, options.syntax):
            hooks.note(note)
        states = self.text_states(texts, clip_skip=options.clip_skip, syntax=options.syntax)
        tensors = {"prompt": states[: len(prompt)], "negative": states[len(prompt) :]}
        frames: dict[str, Json] = {"prompt_frames": list(prompt), "negative_frames": list(negative)}
        return Conditioning(self.spec.family, tensors, frames)

    def text_states(
        self, prompts: Sequence[str], *, clip_skip: int | None = None, syntax: str = "weights"
    ) -> torch.Tensor:
        """States of prompts, N x L x D, all of one length."""
        from flowsynth.models.families.sd.text import encode_prompts

        skip = self.spec.clip_skip if clip_skip is None else clip_skip
        return encode_prompts(self.text_encoder, prompts, clip_skip=skip, syntax=syntax)

    def encode_frames(self, frames_TCHW: torch.Tensor, settings: EncodeSettings) -> torch.Tensor:
        """Latents of frames in [0, 1]; see :func:`flowsynth.models.diffusion.vae.encode_frames`."""
        import torch

        from flowsynth.models.diffusion.vae import encode_frames

        seed = settings.seed
        generator = None if seed is None else torch.Generator("cpu").manual_seed(seed)
        sizes = {"tile_size": settings.tile_size, "batch_size": settings.batch_size}
        return encode_frames(self.vae, frames_TCHW, generator=generator, **sizes)

    def decode_latents(self, latents: Latents, settings: DecodeSettings) -> torch.Tensor:
        """Frames in [0, 1] of latents; see :func:`flowsynth.models.diffusion.vae.decode_latents`."""
        return self._decoded(latents.tensor.to(self.device), settings)

    def _decoded(self, latents_TCHW: torch.Tensor, settings: DecodeSettings) -> torch.Tensor:
        from flowsynth.models.diffusion.vae import decode_latents

        sizes = {"tile_size": settings.tile_size, "batch_size": settings.batch_size}
        return decode_latents(self.vae, latents_TCHW, **sizes)

    def denoise(self, request: DenoiseRequest) -> Latents:
        """Denoise latents; see :func:`flowsynth.models.families.sd.denoise.denoise`."""
        from flowsynth.models.families.sd.conditioning import states
        from flowsynth.models.families.sd.denoise import DenoiseInputs, denoise

        settings, data = request.settings, request.latents.tensor
        frames, channels, height, width = data.shape
        prompt, negative = states(request.conditioning, frames)
        inputs = DenoiseInputs(
            unet=self.unet,
            scheduler=self.scheduler(settings.scheduler, settings.scheduler_options),
            shape=(frames, channels, height, width),
            prompt=self._moved(prompt),
            negative=self._moved(negative),
            init=None if request.latents.empty else self._moved(data),
            controls=self._controls(request),
            clean_edit=None if request.deflicker is None else self._clean_edit(request.deflicker),
            interval=interval_of(self.spec.step_cache),
            regions=self._regions(request.conditioning),
            mask=self._mask(request),
        )
        options = self._with_noise(options_of(settings, SdDenoiseOptions))
        made = denoise(inputs, settings, request.hooks, options)
        return replace(request.latents, data=made, empty=False)

    def _moved(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(device=self.device, dtype=self.dtype)

    def _regions(self, conditioning: Conditioning | None) -> Regions | None:
        """Several prompts, or one for a part; None for one that is for the whole."""
        from flowsynth.models.diffusion.vae import vae_factor
        from flowsynth.models.families.sd.conditioning import several

        config = component_config(self.spec, "vae", offline=self._store.offline)
        return several(conditioning, vae_factor(config))

    def _mask(self, request: DenoiseRequest) -> torch.Tensor | None:
        from flowsynth.models.families.sd.conditioning import mask_frames

        given = request.pictures.get("mask")
        return mask_frames(given[0], request.latents) if given else None

    def _controls(self, request: DenoiseRequest) -> list[Control]:
        from flowsynth.models.diffusion.control import Control
        from flowsynth.models.diffusion.vae import padded_reader, vae_factor

        settings, readers = request.settings, request.controls
        if not readers:
            return []
        names = tuple(self.spec.controlnets) if settings.controlnets is None else settings.controlnets
        factor = vae_factor(component_config(self.spec, "vae", offline=self._store.offline))
        return [
            Control(self.controlnet(name), padded_reader(read, factor), *numbers)
            for name, read, numbers in zip(
                names, readers, settings.control_factors(len(readers)), strict=True
            )
        ]

    def _with_noise(self, options: SdDenoiseOptions) -> SdDenoiseOptions:
        """What `auto` means to the motion modules of this model."""
        if options.noise != "auto" or self.spec.motion is None:
            return options
        return options.model_copy(update={"noise": self.spec.motion_noise})

    def _clean_edit(self, deflicker: DeflickerRequest) -> CleanEdit:
        """Smoothing of frames as a change of latents.

        Latents move by the difference that smoothing makes to the encoded frames, so that the VAE's own loss
        on the way to pixels and back stays out.
        """
        from flowsynth.models.diffusion.x0 import CleanEdit

        height, width = deflicker.size

        def edit(latents_TCHW: torch.Tensor) -> torch.Tensor:
            frames = self._decoded(latents_TCHW, DecodeSettings())[..., :height, :width]
            pair = frames, deflicker.smooth(frames)
            before, after = (self.encode_frames(x, EncodeSettings()) for x in pair)
            return latents_TCHW + (after.float() - before.float()).to(latents_TCHW.device)

        return CleanEdit(deflicker.steps, edit)
