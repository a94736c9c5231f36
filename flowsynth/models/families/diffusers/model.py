"""A loaded diffusers pipeline: its call in three steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.cache.scratch import Scratch
from flowsynth.core.canonical import Json, digest_json
from flowsynth.models.diffusion.consistent import Layers, Sample, put_consistent
from flowsynth.models.diffusion.passes import Passes
from flowsynth.models.diffusion.tree import flatten
from flowsynth.models.families.diffusers.call import (
    FIXED,
    call_arguments,
    generator_of,
    pictures_asked,
    recorded_texts,
    reschedule,
    started,
    words_of,
)
from flowsynth.models.families.diffusers.clean import ClipCoder, Grid, put_deflicker
from flowsynth.models.families.diffusers.clips import DENOISERS, known_layout
from flowsynth.models.families.diffusers.facts import SOUND, Facts, facts, pipeline_class
from flowsynth.models.families.diffusers.formats import PIXELS, decoder_config, latent_format
from flowsynth.models.families.diffusers.index import part_classes
from flowsynth.models.families.diffusers.lines import Lines
from flowsynth.models.families.diffusers.moving import ADAPTER, is_moving, moving_loader
from flowsynth.models.families.diffusers.options import makes_clips
from flowsynth.models.families.diffusers.ports import stand_ins
from flowsynth.models.families.diffusers.progress import keep_passes, watch
from flowsynth.models.families.diffusers.results import cut_latents, decoded, pixel_latents, sound_latents
from flowsynth.models.families.diffusers.seams import (
    Cut,
    TextCalls,
    encode_once,
    pad_as,
    padding_sides,
    stop_after_text,
    stop_at_decoder,
    stop_at_sound,
)
from flowsynth.models.families.diffusers.spec import DiffusersSpec
from flowsynth.models.families.diffusers.templates import Templates
from flowsynth.models.families.diffusers.windows import put_windows, window_sizes
from flowsynth.models.quiet import ignore_library_warnings, quiet
from flowsynth.models.requests import DecodeSettings, DenoiseRequest, Hooks, TextRequest

if TYPE_CHECKING:
    import torch
    from torch import nn

    from flowsynth.models.families.diffusers.part import Part
    from flowsynth.models.protocol import PartStore
    from flowsynth.values import Audio, Conditioning, Latents

#: Arguments that turn guidance on, and what does so; the text is encoded for both cases.
_GUIDANCE = ("guidance_scale", "true_cfg_scale")
_ON, _OFF = 5.0, 1.0


class DiffusersModel:
    """A pipeline whose networks are loaded when they are first called, through its device's manager."""

    def __init__(self, spec: DiffusersSpec, store: PartStore) -> None:
        """Open a pipeline; nothing is loaded yet."""
        self.spec, self._store = spec, store
        self._keys: set[str] = set()
        self.templates = Templates()

    def part_keys(self) -> frozenset[str]:
        """Keys of the parts that this model has used."""
        return frozenset(self._keys)

    @property
    def facts(self) -> Facts:
        """What the pipeline's class can do."""
        return facts(self.spec.class_name(offline=self._store.offline))

    def dtype_of(self, name: str) -> torch.dtype:
        """Dtype of a part."""
        import torch

        found: torch.dtype = getattr(torch, self.spec.dtypes.get(name, self.spec.dtype))
        return found

    @cached_property
    def lines(self) -> Lines:
        """How networks are held and run."""
        # Files of a part are named after its layers: every part has a folder of its own.
        return Lines(
            self.spec,
            self._store.device,
            self.dtype_of,
            lambda name: self._spill.folder / name,
            self._store.offline,
        )

    @cached_property
    def _spill(self) -> Scratch:
        """A folder for offloaded weights, for as long as this model is there."""
        return Scratch(self._store.cache_dir)

    # --- parts ------------------------------------------------------------------------------------------

    def network(self, name: str) -> nn.Module:
        """The real network of a part, from the store: keyed by the content of its files, not their place."""
        dtype, place = self.dtype_of(name), self.lines.held_on(name)
        names = (name, ADAPTER) if name == "unet" and is_moving(self._parts) else (name,)
        parts = [self.spec.part(each, offline=self._store.offline) for each in names]
        content: list[Json] = [
            [each, list(self._parts[each]), part.identity(self._memo)]
            for each, part in zip(names, parts, strict=True)
        ]
        held: list[Json] = [str(dtype), self.spec.storage if name in DENOISERS else None, place]
        if self.spec.quantize is not None and name in DENOISERS:
            held.append(self.spec.quantize)
        key = digest_json(["diffusers", content, *held])
        self._keys.add(key)
        load = self.lines.loaded(name, self._loader(names, parts, dtype, place))
        base = self._store.part(key, load, lambda: sum(part.nbytes(dtype.itemsize) for part in parts))
        if self.spec.loras:
            base, key = self._adapted(name, key, base)
        return self._led(key, base) if self.spec.ip_adapters and name in DENOISERS else base

    def _loader(
        self, names: Sequence[str], parts: Sequence[Part], dtype: torch.dtype, place: str
    ) -> Callable[[], nn.Module]:
        """What loads a part, or makes one network of two."""
        from flowsynth.models.families.diffusers.parts import class_of

        loaders = [
            part.loader(class_of(*self._parts[name]), dtype, place)
            for name, part in zip(names, parts, strict=True)
        ]
        return loaders[0] if len(loaders) == 1 else moving_loader(loaders[0], loaders[1], dtype, place)

    def _adapted(self, name: str, key: str, base: nn.Module) -> tuple[nn.Module, str]:
        """A part with the model's LoRAs: a variant that shares the base's tensors; with its key."""
        from flowsynth.models.families.diffusers.lora import with_part_loras

        offline = self._store.offline

        def load() -> nn.Module:
            variant: nn.Module = with_part_loras(
                base, name, self.spec.loras, tuple(self._parts), self._class, offline=offline
            )
            return variant

        variant_key = digest_json([key, self.spec.lora_identity(self._memo)])
        self._keys.add(variant_key)
        return self._store.part(variant_key, load), variant_key

    def _led(self, key: str, base: nn.Module) -> nn.Module:
        """A denoiser with the model's IP-Adapters: a variant that shares the base's tensors."""
        from flowsynth.models.diffusion.ip_adapter.apply import with_ip_adapters

        def load() -> nn.Module:
            variant: nn.Module = with_ip_adapters(base, self.spec.ip_adapters, offline=self._store.offline)
            return variant

        variant_key = digest_json([key, "ip_adapters", self.spec.ip_adapter_identity(self._memo)])
        self._keys.add(variant_key)
        return self._store.part(variant_key, load)

    @property
    def _memo(self) -> Path | None:
        return None if self._store.cache_dir is None else self._store.cache_dir / "file_hashes"

    @property
    def _class(self) -> type[Any]:
        return pipeline_class(self.facts.name)

    def _pipe(self) -> Any:
        """A pipeline object for one call."""
        from flowsynth.models.families.diffusers.pipe import assemble

        offline = self._store.offline
        ignore_library_warnings()
        index = self.spec.index(offline=offline)
        parts = {name: self.spec.part(name, offline=offline) for name in part_classes(index)}
        with quiet():
            return assemble(self._class, parts, index, self, self._store.device)

    @property
    def _parts(self) -> Mapping[str, tuple[str, str]]:
        return part_classes(self.spec.index(offline=self._store.offline))

    # --- the verbs --------------------------------------------------------------------------------------

    def encode_text(self, request: TextRequest, hooks: Hooks) -> Conditioning:
        """What the pipeline's own text encoding gives, with guidance and without."""
        from flowsynth.values import Conditioning

        known, words = self.facts, words_of(request)
        if not known.text_method:  # what there were to say was refused before: graphs may leave the node in
            return Conditioning(self.spec.family, {}, {"words": {}, "calls": {}})
        pipe, texts = self._pipe(), TextCalls()
        sides = padding_sides(pipe)
        encode_once(pipe)
        texts.record(pipe, known.text_method)
        stop_after_text(pipe, texts)
        for scale in (None, _ON, _OFF):
            hooks.check()
            guidance = {name: scale for name in _GUIDANCE if name in known.arguments and scale is not None}
            guidance |= {name: value for name, value in FIXED.items() if name in known.arguments}
            with _cut(), _own_randomness(0):
                pipe(**stand_ins(known), **words, **guidance)
        tensors: dict[str, torch.Tensor] = {}
        calls: dict[str, Json] = {
            key: flatten(value, tensors, f"text{i}") for i, (key, value) in enumerate(texts.results.items())
        }
        meta: dict[str, Json] = {"words": dict(words), "calls": calls}
        if (left := padding_sides(pipe)) != sides:
            meta["padding_sides"] = left
        return Conditioning(self.spec.family, tensors, meta)

    def denoise(self, request: DenoiseRequest) -> Latents:
        """The pipeline's own call, from the noise to what its decoder was about to get."""
        known, pipe = self.facts, self._pipe()
        if known.text_method and request.conditioning is not None:
            texts = TextCalls(recorded_texts(request.conditioning, self._store.device))
            texts.replay(pipe, known.text_method)
            pad_as(pipe, request.conditioning.meta.get("padding_sides"))
        generator = generator_of(request.settings)
        reschedule(pipe, request.settings)
        watch(pipe, request.hooks)
        passes = Passes(None if self.spec.step_cache else request.hooks.kept)  # blocks that it skips remember
        keep_passes(pipe, passes, self._together(pipe, request))
        self._over_time(pipe, request)
        arguments = call_arguments(known, request) | self._started(known, request)
        noted: list[Cut] = []
        if known.sounds:
            noted = stop_at_sound(getattr(pipe, known.decoder), getattr(pipe, SOUND))
        elif not known.space_is_pixels:
            stop_at_decoder(getattr(pipe, known.decoder))
        with _own_randomness(generator.initial_seed()), _cut() as cut:
            given = pipe(**arguments, generator=generator, output_type="np")
        passes.done()
        if not cut:
            return pixel_latents(given, request.latents)
        form = latent_format(self.spec, offline=self._store.offline)
        if noted:
            return cut_latents(noted[0], request.latents, form.space, cut[0].args[0])
        return cut_latents(cut[0], request.latents, form.space)

    def _started(self, known: Facts, request: DenoiseRequest) -> dict[str, Any]:
        """What latents of another denoising stand for."""
        if request.latents.empty or known.space_is_pixels:
            return {}
        config = decoder_config(self.spec, known, offline=self._store.offline)[1]
        return started(known, request, config)

    def decode_sound(self, latents: Latents) -> Audio:
        """The sound of a clip, by the pipeline's decoder and its vocoder."""
        import torch

        from flowsynth.values import Audio

        given = sound_latents(latents, self._store.device)
        vocoder: Any = self.network("vocoder")
        decoder: Any = self.network(SOUND)
        with torch.no_grad():
            wave = vocoder(decoder.decode(given, return_dict=False)[0])
        return Audio(wave[0].float().T.contiguous().cpu(), int(vocoder.config.output_sampling_rate))

    def decode_latents(self, latents: Latents, settings: DecodeSettings) -> torch.Tensor:
        """Frames T x 3 x H x W in [0, 1], by the pipeline's decoder with the arguments that it was to get."""
        del settings
        if latents.space == PIXELS:
            return latents.tensor
        return decoded(
            self._decoder(), latents, self._store.device, own_dtype=self.facts.decoder in self.spec.dtypes
        )

    # --- between ----------------------------------------------------------------------------------------

    def _decoder(self) -> Any:
        return self.lines.vae(self.network(self.facts.decoder))

    def _together(self, pipe: Any, request: DenoiseRequest) -> str:
        """Have the pictures of a call see each other as the options say; what passes depend on then."""
        if makes_clips(self.facts):
            return ""
        count, options = pictures_asked(request), request.settings.options
        share, seed = float(str(options.get("consistent", 0))), request.settings.seed
        if share == 0 or not isinstance(seed, int):
            return ""
        layers: Layers = "all" if options.get("consistent_layers") == "all" else "up"
        sample = Sample(share, layers, seed, lambda _: count)
        put_consistent(pipe.unet, sample)
        return sample.name

    def _over_time(self, pipe: Any, request: DenoiseRequest) -> None:
        """Have its denoisers see some frames at a time, and its scheduler smoothed ones, as the node says."""
        layout = known_layout(self.spec)
        if layout is None:
            return
        form = latent_format(self.spec, offline=self._store.offline)
        sizes = window_sizes(request.settings, form)
        if sizes is not None:
            put_windows(pipe, layout, *sizes, request.hooks)
        if request.deflicker is not None:
            grid = Grid(layout.axis, form.latent_size(*request.deflicker.size))
            put_deflicker(pipe, grid, ClipCoder(self._decoder(), form.by_frame), request.deflicker)


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
