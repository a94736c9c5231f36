"""The folder in which weights are kept, converted once to safetensors."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from flowsynth.fetch.archives import Progress
from flowsynth.fetch.errors import ChecksumError, FetchError, OfflineError
from flowsynth.fetch.once import make_once
from flowsynth.weights.catalogue import Weights, find_weights, weights_path
from flowsynth.weights.formats import read_files
from flowsynth.weights.sources import obtain
from flowsynth.weights.tensors import load_tensors, save_tensors, tensors_sha256


def fetch_weights(
    name: str, cache_dir: Path, *, offline: bool = False, progress: Progress | None = None
) -> Path:
    """Returns the file of weights, fetching and converting them at first use.

    Several processes may ask at once: one fetches, the others wait. A kept file that was changed since is
    fetched again.

    Args:
        name: A name of the catalogue.
        cache_dir: The cache's folder; they are kept in ``weights`` inside.
        offline: Never touch the network.
        progress: Told how far a download is, in bytes.

    Raises:
        InputError: No such name.
        OfflineError: Not kept yet, and no network (or ``offline``); says how to get them.
        ChecksumError: A source gives other bytes than the catalogue names; they are not kept.
    """
    entry = find_weights(name)
    target = weights_path(entry, cache_dir)
    if is_sound(entry, cache_dir):
        return target
    if offline:
        raise OfflineError(
            f"weights:{name}",
            f"{target}, being offline; run 'flowsynth weights fetch {name}' where there is a network, or copy"
            " the file there",
            "a damaged file" if target.is_file() else "no such file",
        )

    def make(folder: Path) -> None:
        _convert(entry, obtain(entry, folder, progress), folder / "converted", target)

    return make_once(f"weights:{name}", target, lambda: is_sound(entry, cache_dir), make)


def is_sound(entry: Weights, cache_dir: Path) -> bool:
    """Whether weights are kept, every bit as the catalogue says."""
    target = weights_path(entry, cache_dir)
    try:
        stat = target.stat()
        return _digest(target, stat.st_size, stat.st_mtime_ns, stat.st_ino) == entry.tensors_sha256
    except (OSError, ValueError):
        return False


@lru_cache(maxsize=32)
def _digest(path: Path, size: int, changed: int, inode: int) -> str:
    """Checksum of a file's tensors, computed once a process as long as the file doesn't change."""
    del size, changed, inode
    return tensors_sha256(load_tensors(path))


def _convert(entry: Weights, files: dict[str, bytes], temporary: Path, target: Path) -> None:
    who = f"weights:{entry.name}"
    try:
        tensors = read_files(files, entry.format, entry.network)
    except ValueError as error:
        raise FetchError(who, f"files of format {entry.format}", str(error)) from error
    if (found := tensors_sha256(tensors)) != entry.tensors_sha256:
        raise ChecksumError(who, f"tensors of sha256 {entry.tensors_sha256}", found)
    save_tensors(tensors, temporary)
    with temporary.open("rb+") as opened:
        os.fsync(opened.fileno())
    temporary.chmod(0o644)  # the library makes files that only their owner may read
    temporary.replace(target)
