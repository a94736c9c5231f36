"""What this distribution ships: its operators, known from file names alone, and its folders of YAML."""

from __future__ import annotations

from functools import cache
from pathlib import Path

#: Every module in this package ships the operator that it is named after.
SHIPPED_PACKAGE = "flowsynth.operators"

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped_folder(name: str) -> Path:
    """``conf`` or ``graphs``: inside the package in a wheel, beside it in a checkout."""
    inside = _PACKAGE / "_shipped"
    return (inside if inside.is_dir() else _PACKAGE.parent) / name


@cache
def shipped_names() -> frozenset[str]:
    """Names of the operators in this distribution, without importing them."""
    folder = _PACKAGE / SHIPPED_PACKAGE.rpartition(".")[2]
    return frozenset(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
