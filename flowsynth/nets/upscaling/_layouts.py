"""The layouts in which RRDBNet's checkpoints are found, brought to one."""

from __future__ import annotations

import re

from torch import Tensor

from flowsynth.nets.architecture import State

__all__ = ["renamed"]

#: The first ESRGAN's names; N is the block.
_OLD_BLOCK = re.compile(r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\.(weight|bias)")
#: Names between the two: BasicSR's, before they were shortened.
_MIDDLE = (
    (re.compile(r"RRDB_trunk\.(\d+)\.RDB(\d)\."), r"body.\1.rdb\2."),
    (re.compile(r"^trunk_conv\."), "conv_body."),
    (re.compile(r"^upconv(\d)\."), r"conv_up\1."),
    (re.compile(r"^HRconv\."), "conv_hr."),
)


def renamed(state: State) -> dict[str, Tensor]:
    """Bring an RRDBNet's names to the newer layout; other names stay."""
    if "model.0.weight" in state:
        return _from_first_layout(state)
    out = {}
    for name, tensor in state.items():
        for pattern, new in _MIDDLE:
            name = pattern.sub(new, name)  # noqa: PLW2901  one rename after the other
        out[name] = tensor
    return out


def _from_first_layout(state: State) -> dict[str, Tensor]:
    """From ``model.N``, where N counts layers: first, blocks, enlargements, then the last two."""
    blocks = [int(m[1]) for name in state if (m := _OLD_BLOCK.fullmatch(name))]
    if not blocks:
        return dict(state)
    tail = sorted({int(m[1]) for name in state if (m := re.fullmatch(r"model\.(\d+)\.weight", name))})[1:]
    names = {0: "conv_first", **{n: f"conv_up{i}" for i, n in enumerate(tail[:-2], start=1)}}
    names.update(zip(tail[-2:], ("conv_hr", "conv_last"), strict=False))
    out = {}
    for name, tensor in state.items():
        if m := _OLD_BLOCK.fullmatch(name):
            out[f"body.{m[1]}.rdb{m[2]}.conv{m[3]}.{m[4]}"] = tensor
        elif m := re.fullmatch(r"model\.(\d+)\.(weight|bias)", name):
            out[f"{names[int(m[1])]}.{m[2]}"] = tensor
        elif m := re.fullmatch(rf"model\.1\.sub\.{max(blocks) + 1}\.(weight|bias)", name):
            out[f"conv_body.{m[1]}"] = tensor
        else:
            out[name] = tensor
    return out
