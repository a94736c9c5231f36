"""A diffusers pipeline as a graph declares it, and what identifies it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from flowsynth.core.canonical import Json, digest_json
from flowsynth.core.errors import InputError
from flowsynth.core.fingerprint import code_fingerprint
from flowsynth.fetch.source import Source
from flowsynth.models.diffusion.checkpoint import part_prefixes
from flowsynth.models.diffusion.ip_adapter.declared import IpAdapter, ip_adapter_identity
from flowsynth.models.diffusion.lora.declared import Lora, lora_identity
from flowsynth.models.diffusion.motion import MotionNorm
from flowsynth.models.diffusion.single_file.known import Checkpoint, checkpoint_of
from flowsynth.models.families.diffusers.facts import library_versions, own_module
from flowsynth.models.families.diffusers.index import part_classes, read_index
from flowsynth.models.families.diffusers.part import FilePart, FolderPart, ImpliedPart, Part
from flowsynth.models.families.diffusers.quantized import GGUF, library_version
from flowsynth.models.locate import locate
from flowsynth.models.spec import ModelSpec
from flowsynth.models.weights import tensor_shapes

#: The line that holds a denoiser's matrices in eight bits.
INT8 = "torchao:int8"
#: Parts that only the text step loads, and those that only the decoders' steps do.
TEXT_PARTS = ("text_encoder", "tokenizer")
VAE_PARTS = ("vae", "movq", "vqvae", "audio_vae", "vocoder")


class PartLora(Lora):
    """A low-rank adapter on a pipeline's denoiser and text encoders."""

    part: str | None = Field(
        default=None, description="denoiser that it is for, such as transformer_2; null takes the first"
    )


class DiffusersSpec(ModelSpec):
    """A pipeline's folder, a repository of the hub at a commit, or a checkpoint in one file.

    `pipeline` names another class of diffusers that takes the same parts, such as the inpainting class of a
    text-to-image model. `components` puts other parts in the place of the source's, or adds what it lacks: a
    VAE, a ControlNet, a motion adapter, a transformer; the source's own part of that name describes a file
    among them that has no config.
    """

    family: Literal["diffusers"] = "diffusers"
    pipeline: str | None = Field(default=None, description="pipeline class; null takes what the source says")
    components: dict[str, Source] = Field(default_factory=dict, description="parts from elsewhere, by name")
    loras: tuple[PartLora, ...] = Field(default=(), description="adapters, in order")
    ip_adapters: tuple[IpAdapter, ...] = Field(
        default=(),
        description="adapters that pictures at `image_prompt` feed, one each; `image_encoder` sees those",
    )
    motion_norm: MotionNorm = Field(
        default="clip",
        description="what motion modules normalise: each `frame`, as AnimateDiff's published ones want it, or"
        " the `clip`, as diffusers does",
    )
    dtypes: dict[str, Literal["float32", "float16", "bfloat16"]] = Field(
        default_factory=dict, description="of parts whose dtype is another, by name"
    )
    offload: Literal["none", "group", "disk"] = Field(
        default="none", description="where weights lie until their layer runs: host memory, or files"
    )
    storage: Literal["float8"] | None = Field(
        default=None, description="how a denoiser's weights are held; each layer is cast as it runs"
    )
    quantize: Literal["torchao:int8", "gguf"] | None = Field(
        default=None,
        description="torchao:int8 holds a denoiser's matrices in that; gguf is for a .gguf file under"
        " components; layers are widened as they run",
    )
    vae_tiling: bool = Field(default=False, description="decode and encode large pictures tile by tile")
    vae_slicing: bool = Field(default=False, description="decode and encode pictures one by one")
    step_cache: Annotated[str, Field(pattern=r"^(first_block:0?\.\d+|deepcache:[1-9]\d?)$")] | None = Field(
        default=None,
        description="first_block:0.1 skips a transformer's later blocks where the first changes by less;"
        " deepcache:3 runs a UNet's deep blocks at every third step",
    )
    compile: Literal["none", "regional"] = Field(
        default="none", description="compile the denoiser's repeated blocks with torch"
    )

    def folder(self, *, offline: bool = False) -> Path:
        """The local folder of the pipeline, or the one that describes a single file.

        Raises:
            InputError: there is none; a hub model that is not in the local cache may not be fetched.
        """
        return locate(described_by(self.source), offline=offline)

    def index(self, *, offline: bool = False) -> dict[str, Any]:
        """Its ``model_index.json``, with parts from elsewhere entered.

        Raises:
            InputError: missing, or not one.
        """
        index = self._own_index(offline=offline)
        for name, source in self.components.items():
            if not source.file or source.config or name not in index:
                index[name] = list(part_class(locate(described_by(source), offline=offline), name))
        return index

    def _own_index(self, *, offline: bool = False) -> dict[str, Any]:
        if self.source.file and not self.source.config:
            return implied_index(checkpoint_of(locate(self.source)))
        return read_index(self.folder(offline=offline))

    def class_name(self, *, offline: bool = False) -> str:
        """Name of the pipeline class.

        Raises:
            InputError: the index is missing.
        """
        return self.pipeline or str(self._own_index(offline=offline)["_class_name"])

    def part(self, name: str, *, offline: bool = False) -> Part:
        """A part.

        Raises:
            InputError: its folder or file is missing.
        """
        source = self.components.get(name)
        if source is None:
            return self._own_part(name, offline=offline)
        if not source.file:
            return FolderPart(locate(source, offline=offline), source)
        config = (
            FolderPart(locate(described_by(source)), source)
            if source.config
            else self._own_part(name, offline=offline)
        )
        return FilePart(name, locate(source), config.config())

    def part_folder(self, name: str) -> Path:
        """The local folder of a part.

        Raises:
            InputError: it has none.
        """
        part = self.part(name, offline=True)
        if not isinstance(part, FolderPart):
            raise InputError(f"{name} has no folder of its own")
        return part.folder

    def _own_part(self, name: str, *, offline: bool = False) -> Part:
        if not self.source.file:
            return FolderPart(self.folder(offline=offline) / name, self.source)
        file = locate(self.source)
        if self.source.config:
            beside = FolderPart(self.folder() / name, self.source)
            return FilePart(name, file, beside.config()) if holds_part(file, name) else beside
        found = checkpoint_of(file).configs
        if name not in found:
            raise InputError(f"{file}: holds no {name}; give one under components")
        return FilePart(name, file, found[name]) if holds_part(file, name) else ImpliedPart(found[name])

    def identity(self, memo: Path | None, parts: tuple[str, ...] = ()) -> Json:
        """Everything that decides what is loaded and how it is called; with `parts` only what they depend on.

        Skeletons are built of all parts' configurations, so that those count always; weights and tokenizers
        count where they are loaded. The libraries' code is the pipeline: their versions count in full. What
        is of the hub is named by its commit.
        """
        known: dict[str, Json] = {
            "dtype": self.dtype,
            "pipeline": self.pipeline,
            "libraries": dict(library_versions()),
        }
        chosen = self.pipeline or ("" if self.source.hub else self.class_name(offline=True))
        if module := own_module(chosen):
            known["class"] = code_fingerprint(f"{module}:{chosen}")
        if self.loras and (not parts or {"text", "denoiser"} & {*parts}):
            known["loras"] = self.lora_identity(memo)
        if self.ip_adapters and (not parts or "denoiser" in parts):
            known["ip_adapters"] = self.ip_adapter_identity(memo)
        known |= self._lines(parts)
        if self.source.hub:
            own = {name: source for name, source in self.components.items() if not source.hub}
            hub = {name: source for name, source in self.components.items() if source.hub}
            known["sources"] = [
                self.source.model_dump(mode="json"),
                {name: source.model_dump(mode="json") for name, source in hub.items()},
            ]
            if any(source.file and not source.config for source in own.values()):
                self.index()  # those are described by the source
            names = sorted(own)
        else:
            known["index"] = digest_json(self._own_index())
            names = sorted(part_classes(self.index()))
        for name in names:
            known[name] = self._part_identity(name, memo, parts)
        return known

    def _lines(self, parts: tuple[str, ...]) -> dict[str, Json]:
        """What is said of how parts run, where it changes results.

        Weights in host memory do not; those read from files may lie otherwise, which moves last bits.
        """
        denoiser, vae = (not parts or part in parts for part in ("denoiser", "vae"))
        asked: dict[str, Json] = {
            "dtypes": {n: d for n, d in self.dtypes.items() if not parts or {*steps_of(n)} & {*parts}},
            "offload": self.offload if self.offload == "disk" and (denoiser or "text" in parts) else None,
            "motion_norm": self.motion_norm if denoiser and self.motion_norm != "clip" else None,
            "storage": self.storage if denoiser else None,
            "quantize": self._quantized() if denoiser else None,
            "step_cache": self.step_cache if denoiser else None,
            "compile": self.compile if denoiser and self.compile != "none" else None,
            "vae_tiling": self.vae_tiling and vae,
            "vae_slicing": self.vae_slicing and vae,
        }
        return {name: value for name, value in asked.items() if value}

    def gguf_parts(self) -> list[str]:
        """Parts that come out of GGUF files."""
        return [name for name, source in self.components.items() if (source.file or "").endswith(GGUF)]

    def _quantized(self) -> Json:
        line = "gguf" if self.gguf_parts() else self.quantize
        return [line, library_version(line)] if line is not None else None

    def lora_identity(self, memo: Path | None) -> Json:
        """Content, scale and place of the adapters."""
        return [[lora_identity(lora, memo), lora.scale, lora.part] for lora in self.loras]

    def ip_adapter_identity(self, memo: Path | None) -> Json:
        """Content and scale of those that pictures feed."""
        return [ip_adapter_identity(adapter, memo) for adapter in self.ip_adapters]

    def _part_identity(self, name: str, memo: Path | None, parts: tuple[str, ...]) -> Json:
        source = self.components.get(name)
        if source is not None and source.hub:
            return source.model_dump(mode="json")
        loaded = not parts or any(part in parts for part in steps_of(name))
        return self.part(name).identity(memo, loaded=loaded)


def described_by(source: Source) -> Source:
    """Where the folder lies that describes a source: itself, or a single file's ``config``."""
    if not source.file:
        return source
    if not source.config:
        raise InputError(f"{source.file}: a file of one part needs config: the folder that describes it")
    return Source(path=source.config)


def holds_part(file: Path, name: str) -> bool:
    """Whether a single file holds a network of a pipeline, by the prefix of its tensors."""
    prefixes = part_prefixes(name)
    return bool(prefixes) and any(
        key.removeprefix("module.").startswith(prefixes) for key in tensor_shapes(file)
    )


def implied_index(found: Checkpoint) -> dict[str, Any]:
    """The ``model_index.json`` that a single file stands for."""
    index: dict[str, Any] = {"_class_name": found.pipeline, **found.constants}
    for name, config in found.configs.items():
        if "_class_name" in config:
            index[name] = ["diffusers", config["_class_name"]]
        else:
            index[name] = ["transformers", (config.get("architectures") or ["CLIPTokenizer"])[0]]
    return index


def steps_of(part: str) -> tuple[str, ...]:
    """Which of ``text``, ``vae`` and ``denoiser`` load a part."""
    if part.startswith(TEXT_PARTS):
        return ("text",)
    return ("vae",) if part in VAE_PARTS else ("denoiser", "text")


def part_class(folder: Path, name: str) -> tuple[str, str]:
    """Library and class of a part from elsewhere, as its own configuration says.

    Raises:
        InputError: its configuration names no class.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"components.{name}: {folder}/config.json cannot be read ({error})") from error
    if isinstance(config.get("_class_name"), str):
        return "diffusers", str(config["_class_name"])
    kinds = config.get("architectures")
    if isinstance(kinds, list) and kinds:
        return "transformers", str(kinds[0])
    raise InputError(f"components.{name}: {folder}/config.json names no class (_class_name or architectures)")
