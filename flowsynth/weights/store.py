"""The folder in which weights are kept, converted once to safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from flowsynth.core.filehash import file_stamp
from flowsynth.fetch.archive import Progress
from flowsynth.fetch.errors import ChecksumError, FetchError
from flowsynth.fetch.store import fetch_once
from flowsynth.weights.catalogue import Weights, find_weights, weights_path
from flowsynth.weights.errors import WeightsError
from flowsynth.weights.formats import read_files
from flowsynth.weights.tensors import load_tensors, save_tensors, tensors_sha256


def fetch_weights(
    name: str, cache_dir: Path, *, offline: bool = False, progress: Progress | None = None
) -> Path:
    """Returns the file of weights, fetching and converting them at first use.

    Args:
        name: A name of the catalogue.
        cache_dir: The cache's folder; they are kept in ``weights`` inside.
        offline: Never touch the network.
        progress: Told how far a download is, in bytes.

    Raises:
        InputError: No such name.
        FetchError: They can't be had, or are not what the catalogue says; see `fetch_once`.
    """
    entry = find_weights(name)
    return fetch_once(
        entry,
        weights_path(entry, cache_dir),
        lambda: is_sound(entry, cache_dir),
        lambda files, path: _convert(entry, files, path),
        offline=offline,
        command=f"run 'flowsynth weights fetch {name}'",
        progress=progress,
    )


def is_sound(entry: Weights, cache_dir: Path) -> bool:
    """Whether weights are kept, every bit as the catalogue says."""
    target = weights_path(entry, cache_dir)
    try:
        return _digest(target, file_stamp(target)) == entry.tensors_sha256
    except (OSError, ValueError):
        return False


@lru_cache(maxsize=32)
def _digest(path: Path, stamp: str) -> str:
    """Checksum of a file's tensors, computed once a process as long as the file doesn't change."""
    del stamp
    return tensors_sha256(load_tensors(path))


def _convert(entry: Weights, files: Mapping[str, bytes], path: Path) -> None:
    try:
        tensors = read_files(files, entry.format, entry.network, entry.size)
    except WeightsError as error:
        raise FetchError(entry.who, f"files of format {entry.format}", str(error)) from error
    if (found := tensors_sha256(tensors)) != entry.tensors_sha256:
        raise ChecksumError(entry.who, f"tensors of sha256 {entry.tensors_sha256}", found)
    save_tensors(tensors, path)
