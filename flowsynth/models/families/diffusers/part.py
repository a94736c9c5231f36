"""A part of a pipeline wherever it lies: in a folder, in a file among others, or implied by such a file.

What identifies a part and its configuration are read without torch; loading is told apart by `parts`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from flowsynth.core.canonical import Json
from flowsynth.core.errors import InputError
from flowsynth.core.filehash import file_hash, watch_folder
from flowsynth.fetch.source import Source
from flowsynth.models.diffusion.checkpoint import part_prefixes
from flowsynth.models.diffusion.single_file.vocabulary import vocabulary_file
from flowsynth.models.families.diffusers import parts
from flowsynth.models.families.diffusers.quantized import GGUF, gguf_loader
from flowsynth.models.weights import int8_bytes, tensor_bytes, weight_files

if TYPE_CHECKING:
    from torch import nn

#: Files of a part that are no weights.
_TEXTS = (".json", ".txt", ".model", ".jinja")


class Part(Protocol):
    """One part of a pipeline."""

    def config(self) -> dict[str, Any]:
        """Its configuration.

        Raises:
            InputError: missing or damaged.
        """

    def identity(self, memo: Path | None, *, loaded: bool = True) -> Json:
        """What decides what it is: of its configuration alone where it is not loaded.

        Raises:
            InputError: something is missing.
        """

    def nbytes(self, itemsize: int, *, int8: bool = False) -> int:
        """Bytes that it takes once it is loaded with numbers of a size; with `int8`, its matrices in that."""

    def tool(self, cls: type[Any]) -> Any:
        """It, as a tokenizer, scheduler or processor."""

    def builder(self, cls: type[Any]) -> Callable[[], nn.Module]:
        """What makes it without weights, as a network."""

    def loader(self, cls: type[Any], dtype: Any, device: str) -> Callable[[], nn.Module]:
        """What loads it, as a network."""


@dataclass(frozen=True, slots=True)
class FolderPart:
    """A part with a folder of its own.

    Attributes:
        folder: local.
        source: where that comes from; of the hub it is named by its commit.
    """

    folder: Path
    source: Source

    def config(self) -> dict[str, Any]:
        """Its ``config.json``; see `Part`."""
        path = self.folder / "config.json"
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read ({error})") from error
        return data if isinstance(data, dict) else {}

    def identity(self, memo: Path | None, *, loaded: bool = True) -> Json:
        """Names and hashes of its files; see `Part`."""
        if not self.folder.is_dir():
            raise InputError(f"{self.folder}: no such folder; a part of this pipeline")
        watch_folder(self.folder)
        files = [
            path
            for path in sorted(self.folder.iterdir())
            if path.suffix in _TEXTS and (loaded or path.name == "config.json")
        ]
        if loaded and (self.folder / "config.json").is_file():
            files += weight_files(self.folder, self.source.variant)
        return [[path.name, file_hash(path, memo)] for path in files]

    def nbytes(self, itemsize: int, *, int8: bool = False) -> int:
        """From the headers of its weights."""
        size = int8_bytes if int8 else tensor_bytes
        return sum(size(file, itemsize) for file in weight_files(self.folder, self.source.variant))

    def tool(self, cls: type[Any]) -> Any:
        """See `Part`."""
        return parts.load_tool(cls, self.folder)

    def builder(self, cls: type[Any]) -> Callable[[], nn.Module]:
        """See `Part`."""
        return parts.network_builder(cls, self.folder)

    def loader(self, cls: type[Any], dtype: Any, device: str) -> Callable[[], nn.Module]:
        """See `Part`."""
        return parts.network_loader(cls, self.folder, self.source.variant, dtype, device)


@dataclass(frozen=True, slots=True)
class FilePart:
    """A network in a single file, alone or among others.

    Attributes:
        name: of the part.
        file: a safetensors file.
        described: its configuration.
    """

    name: str
    file: Path
    described: Mapping[str, Any]

    def config(self) -> dict[str, Any]:
        """See `Part`."""
        return dict(self.described)

    def identity(self, memo: Path | None, *, loaded: bool = True) -> Json:
        """The file's hash; see `Part`."""
        return [self.config(), file_hash(self.file, memo) if loaded else None]

    def nbytes(self, itemsize: int, *, int8: bool = False) -> int:
        """From the header of the file."""
        return (int8_bytes if int8 else tensor_bytes)(self.file, itemsize, part_prefixes(self.name))

    def tool(self, cls: type[Any]) -> Any:
        """A file holds none.

        Raises:
            InputError: always.
        """
        raise InputError(f"{self.file}: components.{self.name} is a {cls.__name__}; expected its folder")

    def builder(self, cls: type[Any]) -> Callable[[], nn.Module]:
        """See `Part`."""
        return parts.described_builder(cls, self.config())

    def loader(self, cls: type[Any], dtype: Any, device: str) -> Callable[[], nn.Module]:
        """See `Part`."""
        if self.file.suffix == GGUF:
            return gguf_loader(cls, self.file, self.config(), dtype, device)
        return partial(parts.load_from_file, cls, self.name, self.file, self.config(), dtype, device)


@dataclass(frozen=True, slots=True)
class ImpliedPart:
    """A tokenizer or scheduler that no file holds, as all models of an architecture share it.

    Attributes:
        described: a scheduler's configuration, or the ``pad_token`` of CLIP's tokenizer.
    """

    described: Mapping[str, Any]

    def config(self) -> dict[str, Any]:
        """See `Part`."""
        return dict(self.described)

    def identity(self, memo: Path | None, *, loaded: bool = True) -> Json:
        """Its configuration, and a tokenizer's vocabulary; see `Part`."""
        del memo
        words = file_hash(vocabulary_file()) if loaded and "pad_token" in self.described else None
        return [self.config(), words]

    def nbytes(self, itemsize: int, *, int8: bool = False) -> int:
        """None."""
        del itemsize, int8
        return 0

    def tool(self, cls: type[Any]) -> Any:
        """See `Part`."""
        return parts.implied_tool(cls, self.config())

    def builder(self, cls: type[Any]) -> Callable[[], nn.Module]:
        """See `Part`."""
        return parts.described_builder(cls, self.config())

    def loader(self, cls: type[Any], dtype: Any, device: str) -> Callable[[], nn.Module]:
        """It has no weights.

        Raises:
            InputError: always.
        """
        raise InputError(f"a {cls.__name__} is no part of a single file; give its folder under components")
