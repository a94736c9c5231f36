"""Files that parameters name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from flowsynth.core.errors import InputError
from flowsynth.core.paths import user_path


def named_files(params: Mapping[str, Path | None]) -> dict[str, Path]:
    """The files that parameters name, without those that are not set.

    Raises:
        InputError: one is not there.
    """
    files = {name: user_path(path) for name, path in params.items() if path is not None}
    for name, path in files.items():
        if not path.is_file():
            raise InputError(f"{path}: no such file (params.{name})")
    return files
