"""Tensors as numpy arrays in safetensors files, and their checksum. Needs no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flowsynth.weights.errors import WeightsError

Arrays = Mapping[str, npt.NDArray[Any]]


def tensors_sha256(tensors: Arrays) -> str:
    """Checksum of names, types, shapes and values, in the order of names, whatever file they came from.

    It does not depend on how a library lays out a file, as a file's checksum would.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = np.asarray(tensors[name], order="C")
        digest.update(json.dumps([name, array.dtype.str, list(array.shape)]).encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def save_tensors(tensors: Arrays, path: Path) -> None:
    """Write a safetensors file."""
    from safetensors.numpy import save_file

    save_file({name: np.asarray(array, order="C") for name, array in tensors.items()}, path)


def load_tensors(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read a safetensors file.

    Raises:
        WeightsError: It is none, or is damaged.
    """
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except Exception as error:
        raise WeightsError(f"not a readable safetensors file ({error})") from error
