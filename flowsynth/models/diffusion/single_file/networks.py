"""Configurations of networks, read off the names and shapes of their tensors.

Names are those of the original Stable Diffusion and of OpenCLIP, without the prefix of the network. What no
shape shows is the same in all models of an architecture.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
Config: TypeAlias = dict[str, Any]

#: Width of a head where the number of heads grows with the block's width (Stable Diffusion 2.x and SDXL).
_HEAD = 64
#: Sizes that a network of the UNet's kind is told beside its step: SDXL embeds each in so many numbers.
_TIME_EMBED = 256


def below(shapes: Shapes, prefix: str) -> dict[str, tuple[int, ...]]:
    """The tensors behind a prefix, without it."""
    return {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}


def unet_config(own: Shapes, sample_size: int) -> Config | None:
    """The configuration of a ``UNet2DConditionModel``, but for its heads; None if it is no such net.

    Args:
        own: its tensors.
        sample_size: side of the latents that it was trained on, latent pixels.
    """
    downs = sorted(
        int(m[1]) for m in (re.fullmatch(r"input_blocks\.(\d+)\.0\.op\.weight", n) for n in own) if m
    )
    last = count(own, r"input_blocks\.(\d+)\.")
    per = downs[0] - 1 if downs else last - 1
    starts = [1, *(step + 1 for step in downs)]
    try:
        widths = [own[f"input_blocks.{step}.0.out_layers.3.weight"][0] for step in starts]
        linear = len(own[next(name for name in own if name.endswith("1.proj_in.weight"))]) == 2
        crossed_by = own[next(name for name in own if name.endswith("attn2.to_k.weight"))][1]
        ends = own["input_blocks.0.0.weight"][1], own["out.2.weight"][0]
    except (KeyError, StopIteration, IndexError):
        return None
    depths = [count(own, rf"input_blocks\.{step}\.1\.transformer_blocks\.(\d+)\.") for step in starts]
    middle = count(own, r"middle_block\.1\.transformer_blocks\.(\d+)\.")
    if not middle or depths[-1] not in (0, middle):
        return None
    # A block without attention says nothing; the middle one is as deep as the last says.
    said = [*(max(depth, 1) for depth in depths[:-1]), middle]
    return {
        "_class_name": "UNet2DConditionModel",
        "sample_size": sample_size,
        "in_channels": ends[0],
        "out_channels": ends[1],
        "block_out_channels": widths,
        "layers_per_block": per,
        "cross_attention_dim": crossed_by,
        "use_linear_projection": linear,
        "transformer_layers_per_block": said[0] if len(set(said)) == 1 else said,
        "down_block_types": ["CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths],
        "up_block_types": ["CrossAttnUpBlock2D" if depth else "UpBlock2D" for depth in reversed(depths)],
    }


def controlnet_config(own: Shapes) -> Config | None:
    """The configuration of a ``ControlNetModel``; None if it is no such net.

    Args:
        own: its tensors, in the names of the original ControlNet (arXiv 2302.05543).
    """
    hints = [own.get(f"input_hint_block.{step}.weight") for step in range(0, 64, 4)]
    config = unet_config({**own, "out.2.weight": (4,)}, 64)
    if hints[0] is None or config is None:
        return None
    taken = ("in_channels", "block_out_channels", "layers_per_block", "cross_attention_dim")
    more = ("use_linear_projection", "transformer_layers_per_block", "down_block_types")
    return {
        "_class_name": "ControlNetModel",
        **{name: config[name] for name in (*taken, *more)},
        "attention_head_dim": heads_by_width(config) if config["use_linear_projection"] else 8,
        "conditioning_channels": hints[0][1],
        "conditioning_embedding_out_channels": [shape[0] for shape in hints if shape is not None],
    }


def heads_by_width(config: Mapping[str, Any]) -> list[int]:
    """Heads of each block of a UNet whose heads are 64 wide."""
    return [max(width // _HEAD, 1) for width in config["block_out_channels"]]


def added_sizes(own: Shapes) -> Config:
    """What an SDXL UNet is told beside its step: a pooled text and sizes."""
    return {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": _TIME_EMBED,
        "projection_class_embeddings_input_dim": own["label_emb.0.0.weight"][1],
    }


def vae_config(own: Shapes, scaling: float, sample_size: int) -> Config | None:
    """The configuration of an ``AutoencoderKL``; None if it is no such net.

    Args:
        own: its tensors.
        scaling: factor on its latents.
        sample_size: side of the pictures that it was trained on, pixels.
    """
    blocks = count(own, r"encoder\.down\.(\d+)\.")
    if not blocks or "post_quant_conv.weight" not in own:
        return None
    return {
        "_class_name": "AutoencoderKL",
        "sample_size": sample_size,
        "block_out_channels": [own[f"encoder.down.{i}.block.0.conv2.weight"][0] for i in range(blocks)],
        "layers_per_block": count(own, r"encoder\.down\.0\.block\.(\d+)\."),
        "latent_channels": own["post_quant_conv.weight"][0],
        "down_block_types": ["DownEncoderBlock2D"] * blocks,
        "up_block_types": ["UpDecoderBlock2D"] * blocks,
        "scaling_factor": scaling,
    }


def clip_config(own: Shapes) -> Config:
    """The configuration of a ``CLIPTextModel`` by OpenAI, in transformers' names."""
    return _text(
        own["text_model.embeddings.token_embedding.weight"],
        own["text_model.encoder.layers.0.mlp.fc1.weight"],
        count(own, r"text_model\.encoder\.layers\.(\d+)\."),
        "quick_gelu",
    )


def open_clip_config(own: Shapes, *, projected: bool) -> Config:
    """The configuration of a text tower of OpenCLIP (arXiv 2212.07143).

    Args:
        own: its tensors.
        projected: whether its pooled and projected state is wanted (SDXL), or only its layers' states.
    """
    config = _text(
        own["token_embedding.weight"],
        own["transformer.resblocks.0.mlp.c_fc.weight"],
        count(own, r"transformer\.resblocks\.(\d+)\."),
        "gelu",
    )
    if projected:
        config |= {
            "architectures": ["CLIPTextModelWithProjection"],
            "projection_dim": own["text_projection"][1],
        }
    return config


def _text(embedding: tuple[int, ...], inner: tuple[int, ...], layers: int, act: str) -> Config:
    rows, width = embedding
    return {
        "architectures": ["CLIPTextModel"],
        "vocab_size": rows,
        "hidden_size": width,
        "intermediate_size": inner[0],
        "num_hidden_layers": layers,
        "num_attention_heads": max(width // _HEAD, 1),
        "max_position_embeddings": 77,
        "hidden_act": act,
        "bos_token_id": 49406,
        "eos_token_id": 49407,
        "pad_token_id": 1,
    }


def count(names: Mapping[str, object], pattern: str) -> int:
    """How many numbered parts a pattern finds."""
    return len({match[1] for match in (re.match(pattern, name) for name in names) if match})
