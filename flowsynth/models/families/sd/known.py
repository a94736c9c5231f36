"""Single files that come without a configuration: what they are, and their configurations.

The names of a file's tensors say which architecture it is, their shapes how wide and deep; what no shape
shows is the same in all models of an architecture. Read off the header, without torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from flowsynth.core.errors import InputError
from flowsynth.models.weights import tensor_shapes

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]

_UNET, _VAE = "model.diffusion_model.", "first_stage_model."
_CLIP, _OPEN_CLIP = "cond_stage_model.transformer.", "cond_stage_model.model."
_CLIP_TABLE = f"{_CLIP}text_model.embeddings.token_embedding.weight"
_OPEN_CLIP_TABLE = f"{_OPEN_CLIP}token_embedding.weight"
#: Tokens of CLIP's vocabulary: a table of another length was made for another tokenizer.
CLIP_WORDS = 49408
#: A part of a tensor's name -> what such files are: known, but not of this family.
_OTHERS = {
    "conditioner.embedders.1.": "SDXL",
    "conditioner.embedders.0.": "SDXL's refiner",
    "joint_blocks.": "Stable Diffusion 3",
    "double_blocks.": "Flux",
    "control_model.": "a ControlNet",
    "motion_modules.": "a motion adapter",
    "lora_": "a LoRA",
}


def described(file: Path) -> dict[str, dict[str, Any]]:
    """The configurations of a single file's components, by component.

    Raises:
        InputError: a file that does not show what it is, or of another architecture.
    """
    shapes = tensor_shapes(file) if file.suffix == ".safetensors" else {}
    if f"{_UNET}input_blocks.0.0.weight" in shapes:
        for name, read in ((_CLIP_TABLE, _version_1), (_OPEN_CLIP_TABLE, _version_2)):
            if shapes.get(name, ())[:1] == (CLIP_WORDS,):
                return read(file, shapes)
    kind = next((what for part, what in _OTHERS.items() if any(part in name for name in shapes)), None)
    found = f"it looks like {kind}" if kind else "its tensors are not those of a checkpoint known here"
    raise InputError(
        f"{file}: a single file needs config: a local diffusers folder that describes it, unless it is a"
        f" safetensors checkpoint of Stable Diffusion 1.x or 2.x; {found}"
    )


def _version_1(file: Path, shapes: Shapes) -> dict[str, dict[str, Any]]:
    embedding = shapes[_CLIP_TABLE]
    inner = shapes[f"{_CLIP}text_model.encoder.layers.0.mlp.fc1.weight"]
    layers = _count(shapes, rf"{re.escape(_CLIP)}text_model\.encoder\.layers\.(\d+)\.")
    unet = _unet(shapes)
    return {
        "unet": {**unet, "attention_head_dim": 8},
        "vae": _vae(file, shapes),
        "text_encoder": _text(embedding, inner, layers, "quick_gelu"),
        "tokenizer": {"pad_token": "<|endoftext|>"},
        "scheduler": _scheduler("epsilon"),
    }


def _version_2(file: Path, shapes: Shapes) -> dict[str, dict[str, Any]]:
    embedding = shapes[_OPEN_CLIP_TABLE]
    inner = shapes[f"{_OPEN_CLIP}transformer.resblocks.0.mlp.c_fc.weight"]
    layers = _count(shapes, rf"{re.escape(_OPEN_CLIP)}transformer\.resblocks\.(\d+)\.")
    unet = _unet(shapes)
    heads = [max(width // 64, 1) for width in unet["block_out_channels"]]
    return {
        "unet": {**unet, "attention_head_dim": heads},
        "vae": _vae(file, shapes),
        # The last layer is there, but Stable Diffusion 2.x was trained on the one before it.
        "text_encoder": _text(embedding, inner, layers - 1, "gelu"),
        "tokenizer": {"pad_token": "!"},
        "scheduler": _scheduler(""),
    }


def _unet(shapes: Shapes) -> dict[str, Any]:
    own = {name.removeprefix(_UNET): shape for name, shape in shapes.items() if name.startswith(_UNET)}
    downs = sorted(
        int(m[1]) for m in (re.fullmatch(r"input_blocks\.(\d+)\.0\.op\.weight", n) for n in own) if m
    )
    last = _count(own, r"input_blocks\.(\d+)\.")
    per = downs[0] - 1 if downs else last - 1
    starts = [1, *(step + 1 for step in downs)]
    widths = [own[f"input_blocks.{step}.0.out_layers.3.weight"][0] for step in starts]
    crossed = [f"input_blocks.{step}.1.proj_in.weight" in own for step in starts]
    first = next(name for name in own if name.endswith("attn2.to_k.weight"))
    linear = len(own[next(name for name in own if name.endswith("1.proj_in.weight"))]) == 2
    return {
        "_class_name": "UNet2DConditionModel",
        "in_channels": own["input_blocks.0.0.weight"][1],
        "out_channels": own["out.2.weight"][0],
        "block_out_channels": widths,
        "layers_per_block": per,
        "cross_attention_dim": own[first][1],
        "use_linear_projection": linear,
        "down_block_types": ["CrossAttnDownBlock2D" if c else "DownBlock2D" for c in crossed],
        "up_block_types": ["CrossAttnUpBlock2D" if c else "UpBlock2D" for c in reversed(crossed)],
    }


def _vae(file: Path, shapes: Shapes) -> dict[str, Any]:
    own = {name.removeprefix(_VAE): shape for name, shape in shapes.items() if name.startswith(_VAE)}
    blocks = _count(own, r"encoder\.down\.(\d+)\.")
    if not blocks or "post_quant_conv.weight" not in own:
        raise InputError(f"{file}: holds no VAE; give vae: a folder or file with one, and config")
    return {
        "_class_name": "AutoencoderKL",
        "block_out_channels": [own[f"encoder.down.{i}.block.0.conv2.weight"][0] for i in range(blocks)],
        "layers_per_block": _count(own, r"encoder\.down\.0\.block\.(\d+)\."),
        "latent_channels": own["post_quant_conv.weight"][0],
        "down_block_types": ["DownEncoderBlock2D"] * blocks,
        "up_block_types": ["UpDecoderBlock2D"] * blocks,
        "scaling_factor": 0.18215,
    }


def _text(embedding: tuple[int, ...], inner: tuple[int, ...], layers: int, act: str) -> dict[str, Any]:
    rows, width = embedding
    return {
        "architectures": ["CLIPTextModel"],
        "vocab_size": rows,
        "hidden_size": width,
        "intermediate_size": inner[0],
        "num_hidden_layers": layers,
        "num_attention_heads": max(width // 64, 1),
        "max_position_embeddings": 77,
        "hidden_act": act,
        "bos_token_id": 49406,
        "eos_token_id": 49407,
        "pad_token_id": 1,
    }


def _scheduler(prediction: str) -> dict[str, Any]:
    """PNDM on the schedule that Stable Diffusion was trained with."""
    return {
        "_class_name": "PNDMScheduler",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "num_train_timesteps": 1000,
        "skip_prk_steps": True,
        "steps_offset": 1,
        "set_alpha_to_one": False,
        **({"prediction_type": prediction} if prediction else {}),
    }


def _count(names: Mapping[str, object], pattern: str) -> int:
    """How many numbered parts a pattern finds."""
    return len({match[1] for match in (re.match(pattern, name) for name in names) if match})
