"""How a Stable Diffusion model is declared, and what identifies it: no torch here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, field_validator

from flowsynth.core.canonical import Json, digest_json
from flowsynth.core.errors import InputError
from flowsynth.core.filehash import file_hash
from flowsynth.fetch.source import Source
from flowsynth.models.diffusion.lora.config import config_file
from flowsynth.models.diffusion.motion import MotionNorm
from flowsynth.models.diffusion.schedulers import UnknownSchedulerError, resolve_scheduler
from flowsynth.models.locate import locate
from flowsynth.models.spec import ModelSpec
from flowsynth.models.weights import weight_files

#: Folders of a pipeline that are read; a safety checker or feature extractor is not.
COMPONENTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
_NO_WEIGHTS = ("tokenizer", "scheduler")


class Lora(BaseModel):
    """A low-rank adapter on the UNet and, if it holds such weights, the text encoder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Source = Field(description="folder or .safetensors file")
    scale: float = Field(1.0, description="factor on the adapter")
    weight_name: str | None = Field(None, description="file inside the folder")


class TextualInversion(BaseModel):
    """A learned word: one or several vectors that stand for a token."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Source = Field(description="folder or file with the embedding")
    token: str | None = Field(None, description="the word in prompts; by default the one in the file")
    weight_name: str | None = Field(None, description="file inside the folder")


def _known_scheduler(name: str) -> str:
    try:
        resolve_scheduler(name)
    except UnknownSchedulerError as error:
        raise ValueError(str(error)) from None
    return name


class SchedulerChoice(BaseModel):
    """A scheduler by name, with options of its diffusers class."""

    model_config = ConfigDict(frozen=True, extra="allow")

    __pydantic_extra__: dict[str, JsonValue]
    name: Annotated[str, AfterValidator(_known_scheduler)] | None = Field(
        None, description="scheduler's name; by default the model's own"
    )

    @property
    def options(self) -> dict[str, Any]:
        """The overrides."""
        return dict(self.__pydantic_extra__ or {})


class SdSpec(ModelSpec):
    """A model of the Stable Diffusion 1.x and 2.x family."""

    family: Literal["sd"] = "sd"
    controlnets: Mapping[str, Source] = Field(
        default_factory=dict, description="ControlNets by name, in the order of the controls"
    )
    motion: Source | None = Field(None, description="AnimateDiff motion adapter")
    motion_noise: Literal["independent", "shared"] = Field(
        "independent", description="what denoise's `noise: auto` is with motion: as it was trained"
    )
    motion_norm: MotionNorm = Field(
        "clip",
        description="what motion modules normalise: each `frame`, as AnimateDiff's published ones want it, or"
        " the `clip`, as diffusers does",
    )
    loras: tuple[Lora, ...] = Field((), description="adapters, in order")
    textual_inversion: tuple[TextualInversion, ...] = Field((), description="learned words")
    vae: Source | None = Field(None, description="VAE in place of the model's own")
    scheduler: SchedulerChoice = Field(
        default_factory=SchedulerChoice, description="default scheduler, by name or with overrides"
    )
    clip_skip: int = Field(0, ge=0, le=11, description="default of text_encode: layers left out at the end")

    @field_validator("controlnets", mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        """A list is named by position."""
        return {f"control{i}": item for i, item in enumerate(data)} if isinstance(data, list) else data

    @field_validator("scheduler", mode="before")
    @classmethod
    def _scheduler(cls, data: Any) -> Any:
        return {"name": data} if isinstance(data, str) else data

    def identity(self, memo: Path | None, parts: tuple[str, ...] = ()) -> dict[str, Json]:
        """Everything that decides what is loaded, as JSON; with `parts` only what those depend on."""
        loras: list[Json] = [[adapter_identity(lora, memo), lora.scale] for lora in self.loras]
        found: dict[str, Json] = {"family": self.family, "dtype": self.dtype}
        if wants(parts, "text"):
            words: list[Json] = [[adapter_identity(t, memo), t.token] for t in self.textual_inversion]
            text: list[Json] = [self._base(name, memo) for name in ("text_encoder", "tokenizer")]
            found["text"] = [*text, loras, words, self.clip_skip]
        if wants(parts, "vae"):
            found["vae"] = folder_identity(self.vae, memo) if self.vae else self._base("vae", memo)
        if wants(parts, "denoiser"):
            unet: list[Json] = [self._base(name, memo) for name in ("unet", "scheduler")]
            motion: Json = None
            if self.motion is not None:
                motion = [folder_identity(self.motion, memo), self.motion_noise, self.motion_norm]
            nets: list[Json] = [[name, folder_identity(s, memo)] for name, s in self.controlnets.items()]
            found["denoiser"] = [*unet, motion, nets, loras, self.scheduler.model_dump(mode="json")]
        return found

    def _base(self, name: str, memo: Path | None) -> Json:
        return base_identity(self.source, name, memo)


def wants(parts: tuple[str, ...], part: str) -> bool:
    """Whether a part is among those asked for; none asked for means all."""
    return not parts or part in parts


def base_identity(source: Source, name: str, memo: Path | None) -> Json:
    """Identity of one component of the base pipeline; a single file counts whole, with its configuration."""
    if source.hub:
        return [name, source.model_dump(mode="json")]
    if source.file:
        described: list[Json] = []
        if source.config:
            folder = locate(Source(path=source.config)) / name
            described = _texts(folder) if folder.is_dir() else []
        return [file_hash(locate(source), memo), *described]
    return _component_hash(locate(source) / name, source.variant, memo)


def folder_identity(source: Source, memo: Path | None) -> Json:
    """Identity of one component's folder, or of its single file; a hub model is named by its commit."""
    if source.hub:
        return source.model_dump(mode="json")
    path = locate(source)
    if path.is_file():
        return file_hash(path, memo)
    return _component_hash(path, source.variant, memo)


def adapter_identity(adapter: Lora | TextualInversion, memo: Path | None) -> Json:
    """Identity of the one file of an adapter, and of the configuration that peft writes beside it."""
    if adapter.source.hub:
        return [adapter.source.model_dump(mode="json"), adapter.weight_name]
    file = adapter_file(adapter)
    beside = config_file(file)
    return [file_hash(file, memo), file_hash(beside) if beside else None]


def adapter_file(adapter: Lora | TextualInversion, *, offline: bool = False) -> Path:
    """The file of an adapter: the source itself, ``weight_name`` inside it, or its only weight file.

    Raises:
        InputError: no file, or several to choose from.
    """
    path = locate(adapter.source, offline=offline)
    if path.is_file():
        return path
    if adapter.weight_name:
        if not (path / adapter.weight_name).is_file():
            found = ", ".join(sorted(p.name for p in path.iterdir())) or "nothing"
            raise InputError(f"{path}: no file {adapter.weight_name!r}; found {found}")
        return path / adapter.weight_name
    files = sorted(p for p in path.iterdir() if p.suffix in (".safetensors", ".bin", ".pt"))
    if len(files) != 1:
        names = ", ".join(p.name for p in files) or "none"
        raise InputError(f"{path}: expected one weight file, found {names}; set weight_name")
    return files[0]


def _component_hash(folder: Path, variant: str | None, memo: Path | None) -> Json:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; a Stable Diffusion model holds {', '.join(COMPONENTS)}")
    weights = [] if folder.name in _NO_WEIGHTS else weight_files(folder, variant)
    return [*(file_hash(path, memo) for path in weights), *_texts(folder)]


def _texts(folder: Path) -> list[Json]:
    """Hashes of the configurations and tokenizer files of a folder, with their names."""
    files = sorted(p for p in folder.iterdir() if p.suffix in (".json", ".txt", ".model"))
    return [[path.name, file_hash(path)] for path in files]


def part_key(*parts: Json) -> str:
    """Key of a loaded part."""
    return digest_json(list(parts))
