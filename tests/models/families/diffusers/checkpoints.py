"""Tiny real models, and the single files that their publishers would have made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from flowsynth.models.diffusion.names import _vae_name, original_name
from tests.models.families.sd.test_loading import open_clip

WORDS = 49408
_NOISE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def xl_networks(channels: int = 4, *, refiner: bool = False) -> dict[str, Any]:
    """SDXL's real classes with its own settings, only narrower and less deep."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(0)
    sizes, across = (5, 64) if refiner else (6, 128)
    unet = UNet2DConditionModel(
        sample_size=128, in_channels=channels, block_out_channels=(64, 128), layers_per_block=2,
        cross_attention_dim=across, attention_head_dim=(1, 2), use_linear_projection=True,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), transformer_layers_per_block=(1, 2),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), addition_embed_type="text_time",
        addition_time_embed_dim=256, projection_class_embeddings_input_dim=32 + sizes * 256,
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(32, 32, 64), down_block_types=("DownEncoderBlock2D",) * 3, layers_per_block=1,
        up_block_types=("UpDecoderBlock2D",) * 3, scaling_factor=0.13025, sample_size=1024,
    )  # fmt: skip
    text: dict[str, Any] = {
        "vocab_size": WORDS, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3,
        "num_attention_heads": 1, "eos_token_id": 49407,
    }  # fmt: skip
    second = CLIPTextModelWithProjection(CLIPTextConfig(**text, projection_dim=32, hidden_act="gelu"))
    found = {"unet": unet.eval(), "vae": vae.eval(), "text_encoder_2": second.eval()}
    return found if refiner else {**found, "text_encoder": CLIPTextModel(CLIPTextConfig(**text)).eval()}


def xl_tensors(nets: dict[str, Any], dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """The tensors under the names of Stability AI's files."""
    found = {**unet_tensors(nets["unet"]), **vae_tensors(nets["vae"])}
    slot = 1 if "text_encoder" in nets else 0
    if slot:
        stem = "conditioner.embedders.0.transformer.text_model."
        own = nets["text_encoder"].state_dict()
        found |= {f"{stem}{name.removeprefix('text_model.')}": tensor for name, tensor in own.items()}
    own = {name.removeprefix("text_model."): t for name, t in nets["text_encoder_2"].state_dict().items()}
    theirs = open_clip(own, layers=3)
    theirs["cond_stage_model.model.text_projection"] = own["text_projection.weight"].T
    found |= {
        name.replace("cond_stage_model.", f"conditioner.embedders.{slot}."): tensor
        for name, tensor in theirs.items()
    }
    return {name: tensor.to(dtype).contiguous() for name, tensor in found.items()}


def unet_tensors(unet: Any) -> dict[str, torch.Tensor]:
    """A UNet's tensors in the original names."""
    modules = [name.rpartition(".")[0] for name in unet.state_dict()]
    found = {}
    for name, tensor in unet.state_dict().items():
        module, _, leaf = name.rpartition(".")
        found[f"model.diffusion_model.{original_name(module, modules)}.{leaf}"] = tensor
    return found


def vae_tensors(vae: Any, prefix: str = "first_stage_model.") -> dict[str, torch.Tensor]:
    """A VAE's tensors in the original names."""
    found = {}
    for name, tensor in vae.state_dict().items():
        module, _, leaf = name.rpartition(".")
        theirs = _vae_name(module, 3)
        is_matrix = "attn_1" in theirs and tensor.ndim == 2
        found[f"{prefix}{theirs}.{leaf}"] = tensor[:, :, None, None] if is_matrix else tensor
    return found


def write(folder: Path, tensors: dict[str, torch.Tensor], name: str = "some.safetensors") -> Path:
    """A file of tensors."""
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, folder / name)
    return folder / name


def xl_pipeline(nets: dict[str, Any], **scheduler: Any) -> Any:
    """diffusers' own pipeline of the networks, with SDXL's published scheduler."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

    from flowsynth.models.diffusion.single_file.vocabulary import clip_tokenizer

    settings = {"timestep_spacing": "leading", "steps_offset": 1, **_NOISE, **scheduler}
    return StableDiffusionXLPipeline(
        **nets, tokenizer=clip_tokenizer("<|endoftext|>"), tokenizer_2=clip_tokenizer("!"),
        scheduler=EulerDiscreteScheduler(**settings),
    )  # fmt: skip
