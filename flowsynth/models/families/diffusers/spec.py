"""A diffusers pipeline as a graph declares it, and what identifies it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from flowsynth.core.canonical import Json
from flowsynth.core.errors import InputError
from flowsynth.core.filehash import file_hash
from flowsynth.fetch.source import Source
from flowsynth.models.diffusion.lora.declared import Lora, lora_identity
from flowsynth.models.families.diffusers.facts import library_versions
from flowsynth.models.families.diffusers.index import part_classes, read_index
from flowsynth.models.locate import locate
from flowsynth.models.spec import ModelSpec
from flowsynth.models.weights import weight_files

#: Files of a part that are no weights.
_TEXTS = (".json", ".txt", ".model", ".jinja")
#: Parts that only the text step loads, and those that only the decoder's step does.
TEXT_PARTS, VAE_PARTS = ("text_encoder", "tokenizer"), ("vae", "movq", "vqvae")


class PartLora(Lora):
    """A low-rank adapter on a pipeline's denoiser and text encoders."""

    part: str | None = Field(
        None, description="denoiser that it is for, such as transformer_2; null takes the first"
    )


class DiffusersSpec(ModelSpec):
    """A pipeline's folder, or a repository of the hub at a commit.

    `pipeline` names another class of diffusers that takes the same parts, such as the inpainting class of a
    text-to-image model. `components` puts other parts in the place of the folder's, or adds what it lacks: a
    VAE, a ControlNet, a motion adapter, a transformer.
    """

    family: Literal["diffusers"] = "diffusers"
    pipeline: str | None = Field(None, description="pipeline class; null takes what model_index.json says")
    components: dict[str, Source] = Field(default_factory=dict, description="parts from elsewhere, by name")
    loras: tuple[PartLora, ...] = Field((), description="adapters, in order")

    @field_validator("source")
    @classmethod
    def _a_folder(cls, source: Source) -> Source:
        if source.file:
            raise ValueError(
                "family diffusers takes the folder of a pipeline, or one of the hub; given a file"
            )
        return source

    def folder(self, *, offline: bool = False) -> Path:
        """The local folder of the pipeline.

        Raises:
            InputError: there is none; a hub model that is not in the local cache may not be fetched.
        """
        return locate(self.source, offline=offline)

    def index(self, *, offline: bool = False) -> dict[str, Any]:
        """Its ``model_index.json``, with parts from elsewhere entered.

        Raises:
            InputError: missing, or not one.
        """
        index = read_index(self.folder(offline=offline))
        for name, source in self.components.items():
            index[name] = list(part_class(locate(source, offline=offline), name))
        return index

    def class_name(self, *, offline: bool = False) -> str:
        """Name of the pipeline class.

        Raises:
            InputError: the index is missing.
        """
        return self.pipeline or str(read_index(self.folder(offline=offline))["_class_name"])

    def part_folder(self, name: str, *, offline: bool = False) -> Path:
        """The folder of a part.

        Raises:
            InputError: missing.
        """
        if name in self.components:
            return locate(self.components[name], offline=offline)
        return self.folder(offline=offline) / name

    def identity(self, memo: Path | None, parts: tuple[str, ...] = ()) -> Json:
        """Everything that decides what is loaded and how it is called; with `parts` only what they depend on.

        Skeletons are built of all parts' configurations, so that those count always; weights and tokenizers
        count where they are loaded. The libraries' code is the pipeline: their versions count in full.
        """
        known: dict[str, Json] = {
            "dtype": self.dtype,
            "pipeline": self.pipeline,
            "libraries": dict(library_versions()),
        }
        if self.loras and (not parts or {"text", "denoiser"} & {*parts}):
            known["loras"] = self.lora_identity(memo)
        if self.source.hub or any(source.hub for source in self.components.values()):
            names = sorted(self.components)
            sources = [self.source, *(self.components[name] for name in names)]
            return {**known, "names": list(names), "sources": [s.model_dump(mode="json") for s in sources]}
        folder = self.folder()
        known["index"] = file_hash(folder / "model_index.json", memo)
        for name in sorted(part_classes(self.index())):
            known[name] = [[label, file_hash(path, memo)] for label, path in self._files(name, parts)]
        return known

    def lora_identity(self, memo: Path | None) -> Json:
        """Content, scale and place of the adapters."""
        return [[lora_identity(lora, memo), lora.scale, lora.part] for lora in self.loras]

    def _files(self, name: str, parts: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
        folder = self.part_folder(name)
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; {name} is a part of this pipeline")
        loaded = not parts or any(part in parts for part in steps_of(name))
        for path in sorted(folder.iterdir()):
            if path.suffix in _TEXTS and (loaded or path.name == "config.json"):
                yield path.name, path
        if loaded and (folder / "config.json").is_file():
            yield from ((path.name, path) for path in weight_files(folder, self.source.variant))


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
