"""A pipeline's ``model_index.json``: its class, its parts, its constants. No torch, no diffusers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flowsynth.core.errors import InputError

#: Parts that only judge what was made; the seams end before them.
_LEFT_OUT = frozenset({"safety_checker", "watermarker"})


def read_index(folder: Path) -> dict[str, Any]:
    """The pipeline's ``model_index.json``.

    Raises:
        InputError: there is none, or it is not one.
    """
    path = folder / "model_index.json"
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{folder}: no model_index.json; expected the folder of a diffusers pipeline"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(index, dict) or not isinstance(index.get("_class_name"), str):
        raise InputError(f"{path}: names no pipeline class (_class_name)")
    return index


def part_classes(index: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Library and class of every part that the folder holds, by the part's name."""
    return {
        name: (str(value[0]), str(value[1]))
        for name, value in index.items()
        if isinstance(value, list) and len(value) == 2 and value[1] is not None and name not in _LEFT_OUT
    }


def constants(index: dict[str, Any]) -> dict[str, Any]:
    """Plain values that the pipeline's constructor takes."""
    return {k: v for k, v in index.items() if not k.startswith("_") and not isinstance(v, list)}
