"""What other implementations make of random weights; `make` says how."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor


def judged(name: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The checkpoint of a network, and what went in and came out (every fourth pixel, -1 to 1)."""
    found = load_file(Path(__file__).parent / f"{name}.safetensors")
    state = {n.removeprefix("state."): t for n, t in found.items() if n.startswith("state.")}
    return state, {n: t for n, t in found.items() if not n.startswith("state.")}
