"""Other people's packages: installed in a folder, found through their entry points."""

from __future__ import annotations

from pathlib import Path

import pytest


def install(
    site: Path,
    package: str,
    files: dict[str, str],
    group: str,
    points: dict[str, str],
    patch: pytest.MonkeyPatch,
) -> None:
    """Make a distribution importable until the test ends.

    Args:
        site: a folder for it.
        package: name of its package and of the distribution.
        files: text by name, inside the package.
        group: the group of its entry points.
        points: name -> ``module:class``.
        patch: undoes it.
    """
    (site / package).mkdir(parents=True)
    for name, text in files.items():
        (site / package / name).write_text(text)
    info = site / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [f"{name} = {place}" for name, place in points.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]) + "\n")
    patch.syspath_prepend(str(site))
