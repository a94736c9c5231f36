"""Weights and clips that somebody else publishes, for the tests that are marked ``weights``."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowsynth.cache.location import default_cache_dir
from flowsynth.fetch.errors import OfflineError
from flowsynth.media.clips import fetch_clip
from flowsynth.weights.store import fetch_weights


def published(*names: str, clip: str = "") -> Path:
    """The user's cache with some weights in it, and a clip; skips, saying so, where they can't be had."""
    try:
        for name in names:
            fetch_weights(name, default_cache_dir())
        if clip:
            fetch_clip(clip, default_cache_dir())
    except OfflineError as error:
        pytest.skip(f"NOT TESTED, weights or clip can't be fetched: {error}")
    return default_cache_dir()
