"""Names that layers go by in checkpoints and adapters, beside diffusers' and transformers' own."""

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
    "mid_block.resnets.1": "middle_block.2", "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}  # fmt: skip
_BLOCK = re.compile(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)")


#: Rules for the VAE, in order; up blocks count from the output there.
_VAE = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"mid_block\.resnets\.0", "mid.block_1"),
        (r"mid_block\.resnets\.1", "mid.block_2"),
        (r"mid_block\.attentions\.0\.group_norm", "mid.attn_1.norm"),
        (r"mid_block\.attentions\.0\.to_(q|k|v)", r"mid.attn_1.\1"),
        (r"mid_block\.attentions\.0\.to_out\.0", "mid.attn_1.proj_out"),
        (r"down_blocks\.(\d+)\.resnets\.(\d+)", r"down.\1.block.\2"),
        (r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample"),
        (r"conv_shortcut", "nin_shortcut"),
        (r"conv_norm_out", "norm_out"),
    )
]
_VAE_UP = re.compile(r"up_blocks\.(\d+)\.(resnets\.|upsamplers\.0)")
#: Layers of motion modules, as AnimateDiff's authors call them.
_MOTION = {
    ".norm1": ".norms.0", ".norm2": ".norms.1", ".norm3": ".ff_norm",
    ".attn1": ".attention_blocks.0", ".attn2": ".attention_blocks.1",
}  # fmt: skip
#: What diffusers itself called the VAE's attention before.
_VAE_OLDER = {".to_q": ".query", ".to_k": ".key", ".to_v": ".value", ".to_out.0": ".proj_attn"}


def aliases(modules: Iterable[str]) -> dict[str, str]:
    """Every name that a checkpoint or an adapter may call a layer -> the layer's own.

    Args:
        modules: names of the network's layers that have weights.
    """
    modules = list(modules)
    found: dict[str, str] = {}
    for module in modules:
        for name in (module, *_others(module, modules)):
            # kohya's scripts write underscores for dots, so that parts can't be told apart again.
            found.setdefault(name, module)
            found.setdefault(name.replace(".", "_"), module)
    return found


def _others(module: str, modules: list[str]) -> list[str]:
    if module.startswith(("encoder.layers.", "embeddings.", "final_layer_norm", "text_model.")):
        return [f"text_model.{module}", module.removeprefix("text_model.")]
    if module.startswith(("encoder.", "decoder.")):
        blocks = _count(modules, "decoder.up_blocks")
        older = [
            module.replace(f".{new}", f".{old}") for new, old in _VAE_OLDER.items() if f".{new}" in module
        ]
        return [_vae_name(module, blocks), *older]
    if ".motion_modules." in module:
        return [_published_motion(module)]
    original = _control_name(module, modules) or original_name(module, modules)
    return [original] if original else []


def _published_motion(module: str) -> str:
    """What a layer of a motion module is called where AnimateDiff's authors publish it."""
    name = re.sub(r"(motion_modules\.\d+)\.", r"\1.temporal_transformer.", module, count=1)
    for ours, theirs in _MOTION.items():
        name = name.replace(ours, theirs)
    return name


def _vae_name(module: str, blocks: int) -> str:
    """What a layer of the VAE is called in the original Stable Diffusion."""

    def up(match: re.Match[str]) -> str:
        inside = "block." if match[2] == "resnets." else "upsample"
        return f"up.{blocks - 1 - int(match[1])}.{inside}"

    name = _VAE_UP.sub(up, module)
    for pattern, replacement in _VAE:
        name = pattern.sub(replacement, name)
    return name


def _control_name(module: str, modules: Iterable[str]) -> str | None:
    """What a layer that only ControlNets have is called in the original."""
    head, _, rest = module.partition(".")
    if head == "controlnet_down_blocks":
        return f"zero_convs.{rest}.0"
    if head == "controlnet_mid_block":
        return "middle_block_out.0"
    if head != "controlnet_cond_embedding":
        return None
    blocks = _count(modules, "controlnet_cond_embedding.blocks")
    index = {"conv_in": 0, "conv_out": blocks + 1}.get(rest)
    index = int(rest.rpartition(".")[2]) + 1 if index is None else index
    return f"input_hint_block.{2 * index}"


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


def diffusers_name(module: str, layers: int) -> str | None:
    """What diffusers calls a layer of a UNet; None where it is none: the inverse of `original_name`.

    Args:
        module: the original's name.
        layers: ``layers_per_block`` of the UNet.
    """
    for ours, theirs in _OUTER.items():
        if module == theirs or (module.startswith(f"{theirs}.") and theirs.startswith("middle_block")):
            return _outer_block(ours, module.removeprefix(theirs).removeprefix("."))
    match = re.fullmatch(r"(input|output)_blocks\.(\d+)\.(\d+)\.(.+)", module)
    if match is None:
        return None
    step, slot, rest = int(match[2]) - (match[1] == "input"), match[3], match[4]
    block, index = divmod(step, layers + 1)
    side = "down" if match[1] == "input" else "up"
    if rest == "op" or rest.startswith("conv"):
        kind = "downsamplers" if side == "down" else "upsamplers"
        return f"{side}_blocks.{block}.{kind}.0.conv"
    if slot == "0":
        return _outer_block(f"{side}_blocks.{block}.resnets.{index}", rest)
    return f"{side}_blocks.{block}.attentions.{index}.{rest}"


def _outer_block(ours: str, rest: str) -> str:
    """A layer inside a block, by the original's name of it."""
    inner = {theirs: name for name, theirs in _RESNET.items()} if ".resnets." in ours else {}
    return f"{ours}.{inner.get(rest, rest)}" if rest else ours


def _count(modules: Iterable[str], prefix: str) -> int:
    """How many numbered parts there are below a name."""
    numbers = {name[len(prefix) + 1 :].partition(".")[0] for name in modules if name.startswith(f"{prefix}.")}
    return len(numbers)


def _inner(name: str) -> str:
    """The original's names for the layers of a residual block."""
    head, dot, last = name.rpartition(".")
    is_block = re.fullmatch(r"(input_blocks|output_blocks)\.\d+\.0|middle_block\.[02]", head)
    return f"{head}{dot}{_RESNET[last]}" if is_block and last in _RESNET else name
