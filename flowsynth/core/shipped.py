"""Which operators this distribution ships, known from file names alone."""

from __future__ import annotations

from functools import cache
from pathlib import Path

#: Every module in this package ships the operator that it is named after.
SHIPPED_PACKAGE = "flowsynth.operators"


@cache
def shipped_names() -> frozenset[str]:
    """Names of the operators in this distribution, without importing them."""
    folder = Path(__file__).resolve().parent.parent / SHIPPED_PACKAGE.rpartition(".")[2]
    return frozenset(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
