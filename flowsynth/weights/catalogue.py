"""The weights that are fetched by name: what they are, where they are, and their checksums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from flowsynth.core.shipped import shipped_folder
from flowsynth.core.yaml_text import read_yaml
from flowsynth.fetch.catalogue import Entry, entry_fields, find_entry

Format = Literal["safetensors", "torch", "ncnn", "h5", "numpy-pickle", "tflite"]
_KIND = "weights"


@dataclass(frozen=True)
class Weights(Entry):
    """An entry of the catalogue of weights.

    Attributes:
        network: The network that they are for, which says how tensors are named.
        format: Of the files.
        size: Bytes of all tensors together.
        tensors_sha256: Checksum of the tensors; see `flowsynth.weights.tensors.tensors_sha256`.
    """

    network: str
    format: Format
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
    return find_entry(catalogue(), _KIND, name)


def weights_path(entry: Weights, cache_dir: Path) -> Path:
    """Where an entry is kept; another version of it gets another name."""
    return cache_dir / "weights" / f"{entry.name}-{entry.tensors_sha256[:12]}.safetensors"


def _entry(name: str, values: Mapping[str, Any]) -> Weights:
    return Weights(
        **entry_fields(_KIND, name, values),
        network=str(values["network"]),
        format=values["format"],
        size=int(values["size"]),
        tensors_sha256=str(values["tensors_sha256"]),
    )
