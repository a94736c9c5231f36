"""Families out of other people's packages: installed in a folder, found through their entry points."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowsynth.models import registry


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
    (site / package).mkdir(parents=True)
    for name, text in files.items():
        (site / package / name).write_text(text)
    info = site / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [f"{name} = {place}" for name, place in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[flowsynth.families]", *lines]) + "\n")
    patch.syspath_prepend(str(site))
    forget()


def forget() -> None:
    """Let the registry look for families again."""
    registry._plugins.cache_clear()
    registry.family.cache_clear()
