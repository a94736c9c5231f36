"""How a graph declares a LoRA, where its file lies, and what identifies it. No torch here."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from flowsynth.core.canonical import Json
from flowsynth.core.errors import InputError
from flowsynth.core.filehash import file_hash, watch_folder
from flowsynth.fetch.source import Source
from flowsynth.models.diffusion.lora.config import config_file
from flowsynth.models.locate import locate


class Lora(BaseModel):
    """A low-rank adapter on the denoiser and, if it holds such weights, the text encoders."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Source = Field(description="folder or .safetensors file")
    scale: float = Field(default=1.0, description="factor on the adapter")
    weight_name: str | None = Field(default=None, description="file inside the folder")


class InFile(Protocol):
    """What lies in a file, or in one of a folder."""

    @property
    def source(self) -> Source:
        """The file or folder."""
        ...

    @property
    def weight_name(self) -> str | None:
        """The file inside the folder."""
        ...


def adapter_file(adapter: InFile, *, offline: bool = False) -> Path:
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
    watch_folder(path)
    files = sorted(p for p in path.iterdir() if p.suffix in (".safetensors", ".bin", ".pt"))
    if len(files) != 1:
        names = ", ".join(p.name for p in files) or "none"
        raise InputError(f"{path}: expected one weight file, found {names}; set weight_name")
    return files[0]


def lora_identity(lora: Lora, memo: Path | None) -> Json:
    """Identity of a LoRA's file, and of the configuration that peft writes beside it."""
    if lora.source.hub:
        return [lora.source.model_dump(mode="json"), lora.weight_name]
    file = adapter_file(lora)
    beside = config_file(file)
    return [file_hash(file, memo), file_hash(beside) if beside else None]
