"""The names that single-file checkpoints give to the tensors of a Stable Diffusion pipeline."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from safetensors.torch import load_file

_RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0", "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
#: Blocks of the tiny UNet: one layer a down block, two an up block, attention in the outer blocks only.
_UNET = {
    "conv_in.": "input_blocks.0.0.",
    "down_blocks.0.resnets.0.": "input_blocks.1.0.",
    "down_blocks.0.attentions.0.": "input_blocks.1.1.",
    "down_blocks.0.downsamplers.0.conv.": "input_blocks.2.0.op.",
    "down_blocks.1.resnets.0.": "input_blocks.3.0.",
    "mid_block.resnets.0.": "middle_block.0.",
    "mid_block.attentions.0.": "middle_block.1.",
    "mid_block.resnets.1.": "middle_block.2.",
    "up_blocks.0.resnets.0.": "output_blocks.0.0.",
    "up_blocks.0.resnets.1.": "output_blocks.1.0.",
    "up_blocks.0.upsamplers.0.": "output_blocks.1.1.",
    "up_blocks.1.resnets.0.": "output_blocks.2.0.",
    "up_blocks.1.attentions.0.": "output_blocks.2.1.",
    "up_blocks.1.resnets.1.": "output_blocks.3.0.",
    "up_blocks.1.attentions.1.": "output_blocks.3.1.",
    "time_embedding.linear_1.": "time_embed.0.",
    "time_embedding.linear_2.": "time_embed.2.",
    "conv_norm_out.": "out.0.",
    "conv_out.": "out.2.",
}
_VAE = [
    (r"mid_block\.resnets\.0\.", "mid.block_1."),
    (r"mid_block\.resnets\.1\.", "mid.block_2."),
    (r"mid_block\.attentions\.0\.group_norm\.", "mid.attn_1.norm."),
    (r"mid_block\.attentions\.0\.to_(q|k|v)\.", r"mid.attn_1.\1."),
    (r"mid_block\.attentions\.0\.to_out\.0\.", "mid.attn_1.proj_out."),
    (r"down_blocks\.(\d)\.resnets\.(\d)\.", r"down.\1.block.\2."),
    (r"down_blocks\.(\d)\.downsamplers\.0\.", r"down.\1.downsample."),
    (r"conv_shortcut\.", "nin_shortcut."),
    (r"conv_norm_out\.", "norm_out."),
]


def unet_name(name: str) -> str:
    """A UNet tensor's name in a single file."""
    prefix = next(p for p in _UNET if name.startswith(p))
    rest = name[len(prefix) :]
    if ".resnets." in prefix:
        part, _, leaf = rest.partition(".")
        rest = f"{_RESNET[part]}.{leaf}"
    return f"model.diffusion_model.{_UNET[prefix]}{rest}"


def vae_name(name: str) -> str:
    """A VAE tensor's name in a single file; up blocks count from the output."""
    name = re.sub(r"up_blocks\.(\d)\.resnets\.(\d)\.", lambda m: f"up.{2 - int(m[1])}.block.{m[2]}.", name)
    name = re.sub(r"up_blocks\.(\d)\.upsamplers\.0\.", lambda m: f"up.{2 - int(m[1])}.upsample.", name)
    for pattern, replacement in _VAE:
        name = re.sub(pattern, replacement, name)
    return f"first_stage_model.{name}"


def single_file(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of a tiny pipeline under the names of a single-file checkpoint."""
    unet = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    vae = load_file(folder / "vae" / "diffusion_pytorch_model.safetensors")
    text = load_file(folder / "text_encoder" / "model.safetensors")
    named = {unet_name(name): tensor for name, tensor in unet.items()}
    for name, tensor in vae.items():
        is_attention = ".attentions.0.to_" in name and name.endswith("weight")
        named[vae_name(name)] = tensor[:, :, None, None] if is_attention else tensor
    clip = "cond_stage_model.transformer.text_model."
    named |= {clip + name: tensor for name, tensor in text.items()}
    return {name: tensor.contiguous() for name, tensor in named.items()}
