"""Where the cache is unless a run says otherwise."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def default_cache_dir() -> Path:
    """The per-user cache folder, so that a second run hits wherever it is started."""
    if os.environ.get("FLOWSYNTH_CACHE"):
        return Path(os.environ["FLOWSYNTH_CACHE"])
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "flowsynth"
