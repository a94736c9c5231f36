"""The layouts in which super-resolution checkpoints are found, brought to one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from flowsynth.nets.rrdbnet import is_rrdbnet, rrdbnet_from_state
from flowsynth.nets.srvgg import is_srvgg, srvgg_from_state
from flowsynth.nets.staged import StagedNetwork

__all__ = ["super_resolution_from_state", "unwrapped"]

#: Trainers keep the tensors under one of these, the averaged ones first.
_NESTS = ("params_ema", "params", "state_dict", "model")
#: The first ESRGAN's names; N is the block.
_OLD_BLOCK = re.compile(r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\.(weight|bias)")
#: Names between the two: BasicSR's, before they were shortened.
_MIDDLE = (
    (re.compile(r"RRDB_trunk\.(\d+)\.RDB(\d)\."), r"body.\1.rdb\2."),
    (re.compile(r"^trunk_conv\."), "conv_body."),
    (re.compile(r"^upconv(\d)\."), r"conv_up\1."),
    (re.compile(r"^HRconv\."), "conv_hr."),
)


def unwrapped(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return a checkpoint's tensors by name, out of ``params_ema``, ``params`` or ``state_dict``."""
    for nest in _NESTS:
        if isinstance(checkpoint.get(nest), Mapping):
            return unwrapped(checkpoint[nest])
    tensors = {str(n): t for n, t in checkpoint.items() if isinstance(t, Tensor)}
    return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}


def super_resolution_from_state(checkpoint: Mapping[str, Any]) -> StagedNetwork:
    """Build and load the network of a checkpoint, known by its names and shapes.

    Takes RRDBNet (ESRGAN's first layout, BasicSR's older and newer) and the compact network.

    Raises:
        ValueError: another network; says what was looked for.
    """
    state = unwrapped(checkpoint)
    if is_srvgg(state):
        return srvgg_from_state(state)
    state = _renamed(state)
    if is_rrdbnet(state):
        return rrdbnet_from_state(state)
    found = ", ".join(sorted(state)[:3]) or "no tensors"
    raise ValueError(
        "not a checkpoint of a known super-resolution network; expected RRDBNet (conv_first, or model.0 and"
        f" model.1.sub) or the compact one (body.0, body.1, ...); it has {found}"
    )


def _renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Bring an RRDBNet's names to the newer layout; other names stay."""
    if "model.0.weight" in state:
        return _from_first_layout(state)
    out = {}
    for name, tensor in state.items():
        for pattern, new in _MIDDLE:
            name = pattern.sub(new, name)  # noqa: PLW2901  one rename after the other
        out[name] = tensor
    return out


def _from_first_layout(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
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
