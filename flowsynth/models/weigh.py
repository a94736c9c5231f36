"""What the weights of a model take, without opening them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowsynth.core.errors import FlowsynthError

WEIGHTS = frozenset({".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".onnx", ".gguf"})


def weight_bytes(spec: Mapping[str, Any]) -> int:
    """Bytes of the weight files that an entry under ``models:`` names; 0 where they are not here."""
    from flowsynth.models.locate import locate
    from flowsynth.models.parse import parse_model

    try:
        root = locate(parse_model("model", spec).source, offline=True)
        files = [root] if root.is_file() else [path for path in root.rglob("*") if path.suffix in WEIGHTS]
        return sum(path.stat().st_size for path in files)
    except (FlowsynthError, OSError):
        return 0
