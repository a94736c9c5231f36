"""LoRA files in every layout that trainers write, and the weights that each stands for."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch

Tensors: TypeAlias = dict[str, torch.Tensor]
#: Component, module, down, up, alpha -> the tensors of one layer.
Layout: TypeAlias = Callable[[str, str, torch.Tensor, torch.Tensor, float], Tensors]

#: Layers of every kind: attention, convolutions of 1 and 3, projections, embeddings of time, samplers.
UNET = (
    "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q",
    "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_out.0",
    "down_blocks.0.attentions.0.transformer_blocks.0.ff.net.0.proj",
    "down_blocks.0.attentions.0.proj_in",
    "down_blocks.0.resnets.0.conv1",
    "down_blocks.0.downsamplers.0.conv",
    "mid_block.attentions.0.transformer_blocks.0.attn1.to_v",
    "mid_block.resnets.1.time_emb_proj",
    "up_blocks.0.resnets.1.conv_shortcut",
    "up_blocks.0.upsamplers.0.conv",
    "up_blocks.1.attentions.1.transformer_blocks.0.attn2.to_k",
    "time_embedding.linear_1",
    "conv_in",
    "conv_out",
)
ATTENTION = tuple(name for name in UNET if ".attn" in name)
TEXT = (
    "text_model.encoder.layers.0.self_attn.q_proj",
    "text_model.encoder.layers.1.self_attn.out_proj",
    "text_model.encoder.layers.2.mlp.fc1",
)
ATTENTION_TEXT = tuple(name for name in TEXT if ".self_attn" in name)

#: The layers above, as the original Stable Diffusion calls them (two blocks, one residual layer each).
ORIGINAL = {
    "down_blocks.0.attentions.0": "input_blocks.1.1",
    "down_blocks.0.resnets.0.conv1": "input_blocks.1.0.in_layers.2",
    "down_blocks.0.downsamplers.0.conv": "input_blocks.2.0.op",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1.time_emb_proj": "middle_block.2.emb_layers.1",
    "up_blocks.0.resnets.1.conv_shortcut": "output_blocks.1.0.skip_connection",
    "up_blocks.0.upsamplers.0.conv": "output_blocks.1.1.conv",
    "up_blocks.1.attentions.1": "output_blocks.3.1",
    "time_embedding.linear_1": "time_embed.0",
    "conv_in": "input_blocks.0.0",
    "conv_out": "out.2",
}


def original(module: str) -> str:
    """A layer's name in the original."""
    head = max((name for name in ORIGINAL if module == name or module.startswith(f"{name}.")), key=len)
    return ORIGINAL[head] + module.removeprefix(head)


def plain(
    template: str, down: str, up: str, name: Callable[[str], str] = str, *, alpha: bool = False
) -> Layout:
    """A layout whose names follow one pattern.

    Args:
        template: with ``{c}`` for the component and ``{m}`` for the module.
        down: what follows it for the first factor.
        up: for the second.
        name: from diffusers' name of a module to that of the layout.
        alpha: whether each layer has an alpha of its own.
    """

    def write(c: str, m: str, first: torch.Tensor, second: torch.Tensor, a: float) -> Tensors:
        stem = template.format(c=c, m=name(m))
        extra = {f"{stem}.alpha": torch.tensor(a)} if alpha else {}
        return {f"{stem}.{down}": first, f"{stem}.{up}": second, **extra}

    return write


def processors(c: str, m: str, down: torch.Tensor, up: torch.Tensor, alpha: float) -> Tensors:
    """diffusers' first layout, of attention layers only."""
    head, _, last = m.removesuffix(".0").rpartition(".")
    part = {"out_proj": "to_out"}.get(last, last if c == "unet" else f"to_{last[0]}")
    stem = f"{c}.{head}{'.processor' if c == 'unet' else ''}.{part}_lora"
    return {f"{stem}.down.weight": down, f"{stem}.up.weight": up}


def _kohya(module: str) -> str:
    return module.replace(".", "_")


LAYOUTS: Mapping[str, Layout] = {
    "diffusers": plain("{c}.{m}", "lora_A.weight", "lora_B.weight"),
    "an adapter's name": plain("{c}.{m}", "lora_A.default_0.weight", "lora_B.default_0.weight"),
    "lora.down": plain("{c}.{m}", "lora.down.weight", "lora.up.weight"),
    "lora_linear_layer": plain("{c}.{m}", "lora_linear_layer.down.weight", "lora_linear_layer.up.weight"),
    "processors": processors,
    "peft": plain("base_model.model.{m}", "lora_A.weight", "lora_B.weight"),
    "component and peft": plain("{c}.base_model.model.{m}", "lora_A.weight", "lora_B.weight"),
    "bare": plain("{m}", "lora_A.weight", "lora_B.weight"),
    "bare, down and up": plain("{m}", "lora_down.weight", "lora_up.weight", alpha=True),
}
UNET_LAYOUTS: Mapping[str, Layout] = {
    "kohya": plain("lora_unet_{m}", "lora_down.weight", "lora_up.weight", _kohya, alpha=True),
    "kohya, original names": plain(
        "lora_unet_{m}", "lora_down.weight", "lora_up.weight", lambda m: _kohya(original(m)), alpha=True
    ),
    "comfy": plain("diffusion_model.{m}", "lora_A.weight", "lora_B.weight", original),
    "comfy, alphas": plain("diffusion_model.{m}", "lora_down.weight", "lora_up.weight", original, alpha=True),
    "diffusion_model": plain("diffusion_model.{m}", "lora_A.weight", "lora_B.weight"),
    "transformer": plain("transformer.{m}", "lora_A.weight", "lora_B.weight"),
    "original": plain("model.diffusion_model.{m}", "lora_A.weight", "lora_B.weight", original),
}
TEXT_LAYOUTS: Mapping[str, Layout] = {
    "kohya": plain("lora_te_{m}", "lora_down.weight", "lora_up.weight", _kohya, alpha=True),
    "kohya, first of two": plain("lora_te1_{m}", "lora_down.weight", "lora_up.weight", _kohya, alpha=True),
    "without text_model": plain(
        "{c}.{m}", "lora_A.weight", "lora_B.weight", lambda m: m.removeprefix("text_model.")
    ),
    "original": plain("cond_stage_model.transformer.{m}", "lora_A.weight", "lora_B.weight"),
}


@dataclass(frozen=True)
class Example:
    """A LoRA: its file's tensors, and the network with the update folded in."""

    tensors: Tensors
    folded: Any


def example(
    net: Any,
    component: str,
    modules: tuple[str, ...],
    layout: Layout,
    *,
    scale: Callable[[str, int, float | None], float] | None = None,
) -> Example:
    """A LoRA with a rank and an alpha of its own in each layer.

    Args:
        net: the network; it is not touched.
        component: ``unet`` or ``text_encoder``.
        modules: the layers.
        layout: how its tensors are named.
        scale: (module, rank, the file's alpha) -> the factor; alpha / rank unless given.
    """
    generator, folded = torch.Generator().manual_seed(5), copy.deepcopy(net)
    tensors: dict[str, torch.Tensor] = {}
    known = dict(folded.named_modules())
    for i, module in enumerate(modules):
        target = known[module if module in known else module.removeprefix("text_model.")]
        rank, alpha, shape = 2 + i % 3, (1.0, 4.0, 3.0)[i % 3], target.weight.shape
        down = torch.randn(rank, *shape[1:], generator=generator) / math.sqrt(shape[1:].numel())
        up = torch.randn(shape[0], rank, *[1] * (len(shape) - 2), generator=generator)
        named = layout(component, module, down, up, alpha)
        tensors |= named
        own = alpha if any(name.endswith(".alpha") for name in named) else None
        factor = (own or rank) / rank if scale is None else scale(module, rank, own)
        update = (up.flatten(1) @ down.flatten(1)).reshape(shape)
        target.weight.data = target.weight.data + factor * update
    return Example(tensors, folded)
