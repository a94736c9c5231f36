"""What this distribution ships: its operators, known from file names alone, and its folders of data."""

from __future__ import annotations

from functools import cache
from pathlib import Path

#: Holds the rooms; every module of a room ships the operator that it is named after.
SHIPPED_PACKAGE = "flowsynth.operators"

#: The room without verbs: what several others use.
_SHARED = "shared"

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped_folder(name: str) -> Path:
    """``conf`` or ``graphs``: inside the package in a wheel, beside it in a checkout."""
    inside = _PACKAGE / "_shipped"
    return (inside if inside.is_dir() else _PACKAGE.parent) / name


def asset_folder(name: str) -> Path:
    """A folder of the package's own pictures or weights."""
    return _PACKAGE / "assets" / name


@cache
def shipped_modules() -> dict[str, str]:
    """Module of every operator in this distribution by its name, without importing one."""
    rooms = _PACKAGE / SHIPPED_PACKAGE.rpartition(".")[2]
    return {
        path.stem: f"{SHIPPED_PACKAGE}.{path.parent.name}.{path.stem}"
        for path in sorted(rooms.glob("*/*.py"))
        if not path.stem.startswith("_") and path.parent.name != _SHARED
    }
