"""A store of networks for one test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


class Keeping:
    """Loads each network once."""

    device = "cpu"
    cache_dir: Path | None = None
    offline = True

    def __init__(self) -> None:
        self._parts: dict[str, Any] = {}

    def part(self, key: str, load: Callable[[], Any], size: Callable[[], int] | None = None) -> Any:
        del size
        if key not in self._parts:
            self._parts[key] = load()
        return self._parts[key]
