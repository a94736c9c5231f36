"""Families out of other people's packages: installed in a folder, found through their entry points."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowsynth.core.plugins import entry_points_of
from flowsynth.models import registry
from tests import distribution_of


def install(
    site: Path, package: str, files: dict[str, str], points: dict[str, str], patch: pytest.MonkeyPatch
) -> None:
    """Make a distribution importable until the test ends.

    Args:
        site: a folder for it.
        package: name of its package and of the distribution.
        files: text by name, inside the package.
        points: family -> ``module:class``, its entry points.
        patch: undoes it.
    """
    distribution_of.install(site, package, files, registry.ENTRY_POINT_GROUP, points, patch)
    forget()


def forget() -> None:
    """Let the registry look for families again."""
    entry_points_of.cache_clear()
    registry._lasting.cache_clear()
