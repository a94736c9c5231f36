"""The weights that are fetched by name: what they are, where they are, and their checksums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from flowsynth.core.errors import InputError, did_you_mean, listing
from flowsynth.core.shipped import shipped_folder
from flowsynth.core.yaml_text import read_yaml
from flowsynth.fetch.archives import Archive

Format = Literal["safetensors", "torch", "ncnn", "h5", "numpy-pickle", "tflite"]


@dataclass(frozen=True)
class WeightFile:
    """One published file.

    Attributes:
        name: Below the folder of its source.
        size: Bytes.
        sha256: Checksum.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class ArchiveSource:
    """Files in a folder of a wheel or of a source archive."""

    archive: Archive
    folder: str

    def __str__(self) -> str:
        """As a person names it."""
        return f"{self.archive.requirement} from PyPI"


@dataclass(frozen=True)
class HubSource:
    """Files in a folder of a hub repository at a revision, a commit."""

    repository: str
    revision: str
    folder: str

    def __str__(self) -> str:
        """As a person names it."""
        return f"{self.repository} at {self.revision} from the hub"


@dataclass(frozen=True)
class FolderSource:
    """Files in a local folder."""

    path: str

    def __str__(self) -> str:
        """As a person names it."""
        return f"the folder {self.path}"


Source = ArchiveSource | HubSource | FolderSource


@dataclass(frozen=True)
class Weights:
    """An entry of the catalogue.

    Attributes:
        name: How users call it.
        about: What it is.
        licence: Under which terms it may be used.
        network: The network that it is for, which says how tensors are named.
        format: Of the files.
        files: The published files.
        sources: Where they are, tried in order.
        size: Bytes of all tensors together.
        tensors_sha256: Checksum of the tensors; see `flowsynth.weights.tensors.tensors_sha256`.
    """

    name: str
    about: str
    licence: str
    network: str
    format: Format
    files: tuple[WeightFile, ...]
    sources: tuple[Source, ...]
    size: int
    tensors_sha256: str


@cache
def catalogue() -> dict[str, Weights]:
    """Returns the shipped entries by name."""
    return read_catalogue(shipped_folder("conf") / "weights.yaml")


def read_catalogue(path: Path) -> dict[str, Weights]:
    """Returns the entries of a catalogue file by name."""
    return {name: _entry(name, values) for name, values in read_yaml(path).items()}


def find_weights(name: str) -> Weights:
    """Returns the entry of a name.

    Raises:
        InputError: No such name; says the nearest one.
    """
    known = catalogue()
    if name not in known:
        hint = did_you_mean(name, known)
        raise InputError(f"weights:{name}: no such name; expected one of {listing(known)}{hint}")
    return known[name]


def weights_path(entry: Weights, cache_dir: Path) -> Path:
    """Where an entry is kept; another version of it gets another name."""
    return cache_dir / "weights" / f"{entry.name}-{entry.tensors_sha256[:12]}.safetensors"


def _entry(name: str, values: Mapping[str, Any]) -> Weights:
    files = tuple(WeightFile(str(f), int(v["size"]), str(v["sha256"])) for f, v in values["files"].items())
    texts = {key: str(values[key]) for key in ("about", "licence", "network", "tensors_sha256")}
    sources = tuple(_source(source) for source in values["sources"])
    return Weights(
        name=name, format=values["format"], files=files, sources=sources, size=int(values["size"]), **texts
    )


def _source(values: Mapping[str, Any]) -> Source:
    if "package" in values:
        package, version, file, sha256 = (
            str(values[key]) for key in ("package", "version", "archive", "archive_sha256")
        )
        archive = Archive(package, version, file, sha256, str(values.get("archive_url", "")))
        return ArchiveSource(archive, str(values["folder"]))
    if "hub" in values:
        return HubSource(str(values["hub"]), str(values["revision"]), str(values.get("folder", "")))
    return FolderSource(str(values["path"]))
