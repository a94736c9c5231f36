"""The configuration of a motion adapter in a single file: AnimateDiff publishes none, its tensors show it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.core.errors import InputError
from flowsynth.models.diffusion.checkpoint import part_of

if TYPE_CHECKING:
    import torch

_FIRST = re.compile(r"down_blocks\.(\d+)\.motion_modules\.(\d+)\.proj_in\.weight")


def motion_config(
    weights: Mapping[str, torch.Tensor], given: dict[str, Any] | None, file: Path
) -> dict[str, Any]:
    """The configuration of diffusers' ``MotionAdapter``: the one given, else what the tensors show.

    Args:
        weights: of the file.
        given: ``config.json``, if there is one beside the file's declaration.
        file: for messages.

    Raises:
        InputError: no motion adapter, or a table of positions of another length than the configuration says.
    """
    length = next((int(t.shape[1]) for name, t in weights.items() if name.endswith(".pos_encoder.pe")), None)
    if given is not None:
        limit = given.get("motion_max_seq_length", 32)
        if length is not None and length != limit:
            raise InputError(
                f"{file}: its table holds {length} positions; its config says motion_max_seq_length {limit}"
            )
        return given
    names = part_of(weights, "motion")
    widths = {int(m[1]): int(names[m[0]].shape[0]) for m in map(_FIRST.fullmatch, names) if m}
    layers = {int(m[2]) for m in map(_FIRST.fullmatch, names) if m}
    if not widths or length is None:
        raise InputError(
            f"{file}: not an AnimateDiff motion adapter (no motion modules with positions inside)"
        )
    return {
        "_class_name": "MotionAdapter",
        "block_out_channels": [widths[i] for i in sorted(widths)],
        "motion_layers_per_block": len(layers),
        "motion_max_seq_length": length,
        "use_motion_mid_block": any(name.startswith("mid_block.") for name in names),
    }
