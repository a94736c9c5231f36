"""The one checkpoint that a source names: a file, or a folder with one."""

from __future__ import annotations

from pathlib import Path

from flowsynth.core.errors import InputError, listing
from flowsynth.fetch.source import Source
from flowsynth.models.locate import locate

_ENDINGS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")


def checkpoint_of(source: Source, weight_name: str | None, *, offline: bool = True) -> Path:
    """The file.

    Args:
        source: a file, a folder, or a place on the hub.
        weight_name: which of a folder's files.
        offline: never touch the network.

    Raises:
        InputError: there is none, or there are several to choose from.
    """
    place = locate(source, offline=offline)
    if place.is_file():
        return place
    if weight_name is not None:
        if "/" in weight_name or not (place / weight_name).is_file():
            raise InputError(f"{place}: no file {weight_name!r}; expected {_files_text(place)}")
        return place / weight_name
    files = _files(place)
    if len(files) != 1:
        raise InputError(f"{place}: expected one checkpoint, or weight_name; found {_files_text(place)}")
    return files[0]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in _ENDINGS)


def _files_text(folder: Path) -> str:
    return listing([path.name for path in _files(folder)]) or f"no file that ends in {listing(_ENDINGS)}"
