"""Names that layers of a network go by in adapters, beside their own."""

from __future__ import annotations

import re
from collections.abc import Iterable

_RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
_OUTER = {
    "conv_in": "input_blocks.0.0", "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2", "conv_norm_out": "out.0", "conv_out": "out.2",
    "mid_block.resnets.0": "middle_block.0", "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
}  # fmt: skip
_BLOCK = re.compile(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)")


def aliases(modules: Iterable[str]) -> dict[str, str]:
    """Every name that an adapter may call a layer -> the layer's own.

    Args:
        modules: names of the network's layers that have weights.
    """
    modules = list(modules)
    found: dict[str, str] = {}
    for module in modules:
        names = [module, f"text_model.{module}", module.removeprefix("text_model.")]
        original = original_name(module, modules)
        names += [original] if original else []
        for name in names:
            # kohya's scripts write underscores for dots, so that parts can't be told apart again.
            found.setdefault(name, module)
            found.setdefault(name.replace(".", "_"), module)
    return found


def original_name(module: str, modules: Iterable[str]) -> str | None:
    """What a layer of a UNet is called in the original Stable Diffusion; None where it has no such name.

    Args:
        module: diffusers' name.
        modules: all names, which show how many layers a block has.
    """
    for ours, theirs in _OUTER.items():
        if module == ours or module.startswith(f"{ours}."):
            return _inner(theirs + module.removeprefix(ours))
    match = _BLOCK.match(module)
    if match is None:
        return None
    side, block, kind, index = match[1], int(match[2]), match[3], int(match[4])
    layers = _count(modules, f"{side}_blocks.0.resnets")
    attention = _count(modules, f"{side}_blocks.{block}.attentions") > 0
    rest = module[match.end() :]
    if side == "down":
        step = 1 + block * (layers + 1) + (layers if kind == "downsamplers" else index)
        inside = {"resnets": "0", "attentions": "1", "downsamplers": "0"}[kind]
        rest = rest.replace(".conv", ".op", 1) if kind == "downsamplers" else rest
        return _inner(f"input_blocks.{step}.{inside}{rest}")
    step = block * layers + (layers - 1 if kind == "upsamplers" else index)
    inside = {"resnets": "0", "attentions": "1", "upsamplers": "2" if attention else "1"}[kind]
    return _inner(f"output_blocks.{step}.{inside}{rest}")


def _count(modules: Iterable[str], prefix: str) -> int:
    """How many numbered parts there are below a name."""
    numbers = {name[len(prefix) + 1 :].partition(".")[0] for name in modules if name.startswith(f"{prefix}.")}
    return len(numbers)


def _inner(name: str) -> str:
    """The original's names for the layers of a residual block."""
    head, dot, last = name.rpartition(".")
    is_block = re.fullmatch(r"(input_blocks|output_blocks)\.\d+\.0|middle_block\.[02]", head)
    return f"{head}{dot}{_RESNET[last]}" if is_block and last in _RESNET else name
