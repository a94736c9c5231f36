"""Tiny real Stable Diffusion models, built offline with random weights and saved as diffusers folders.

Every class is the real one; only widths are small. Weights that training starts at zero (the ControlNets'
gates, the motion modules' output projections) are drawn at random too, so that a control or a neighbouring
frame does change the result and a test can see it.
"""

from __future__ import annotations

import atexit
import shutil
import string
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from flowsynth.models.families.sd.model import SdModel
    from flowsynth.models.protocol import LoadedModel

VAE_FACTOR = 4
WORDS = ("a", "cat", "dog", "red", "blue", "house", "of", "the", "painting", "sky", "bad", "blurry", "style")


def _tokenizer() -> Any:
    from transformers import CLIPTokenizer

    letters = list(string.ascii_lowercase + string.digits + ",.:()[]-_!'")
    pieces = letters + [f"{c}</w>" for c in letters]
    merges: list[tuple[str, str]] = []
    for word in WORDS:
        for i in range(1, len(word)):
            right = word[i] + ("</w>" if i == len(word) - 1 else "")
            pair = (word[:i], right)
            if len(word) > 1 and pair not in merges:
                merges.append(pair)
                if "".join(pair) not in pieces:
                    pieces.append("".join(pair))
    vocab = {piece: i for i, piece in enumerate(dict.fromkeys([*pieces, "<|startoftext|>", "<|endoftext|>"]))}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=77)


def _text_encoder(tokenizer: Any) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=3,
        num_attention_heads=4, max_position_embeddings=77, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return CLIPTextModel(config).eval()


def _unet() -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, layers_per_block=1, block_out_channels=(16, 32),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), norm_num_groups=8, attention_head_dim=4,
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), cross_attention_dim=32,
    ).eval()  # fmt: skip


def _vae() -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8, 16, 16), in_channels=3, out_channels=3, latent_channels=4, norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=1, sample_size=32,
    ).eval()  # fmt: skip


def _controlnet(unet: Any) -> Any:
    from diffusers import ControlNetModel

    net = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(4, 8, 8)).eval()
    gates = [*net.controlnet_down_blocks, net.controlnet_mid_block, net.controlnet_cond_embedding.conv_out]
    for gate in gates:
        torch.nn.init.normal_(gate.weight, std=0.2)
        torch.nn.init.normal_(gate.bias, std=0.2)
    return net


def _motion() -> Any:
    from diffusers import MotionAdapter

    return MotionAdapter(
        block_out_channels=(16, 32), motion_layers_per_block=1, motion_mid_block_layers_per_block=1,
        motion_num_attention_heads=2, motion_norm_num_groups=8, motion_max_seq_length=16,
        use_motion_mid_block=True,
    ).eval()  # fmt: skip


def _scheduler() -> Any:
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
        set_alpha_to_one=False, steps_offset=1,
    )  # fmt: skip


def save_lora(unet: Any, path: Path, seed: int = 5) -> Path:
    """A rank-2 LoRA over the UNet's attention, every matrix random, in diffusers' own file format."""
    from diffusers import StableDiffusionPipeline
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    torch.manual_seed(seed)
    unet = type(unet).from_config(unet.config)
    unet.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=["to_q", "to_v", "to_out.0"]))
    layers = {name: torch.randn_like(w) * 0.3 for name, w in get_peft_model_state_dict(unet).items()}
    StableDiffusionPipeline.save_lora_weights(path, unet_lora_layers=layers, safe_serialization=True)
    return path


@lru_cache(maxsize=1)
def tiny_sd() -> Path:
    """A folder with the whole tiny family, built once a process.

    ``base`` is the pipeline's folder; beside it ``controlnet_lines``, ``controlnet_tile``,
    ``motion_adapter`` and ``lora``.
    """
    from diffusers import StableDiffusionPipeline

    root = Path(tempfile.mkdtemp(prefix="tiny-sd-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    state = torch.random.get_rng_state()
    torch.manual_seed(0)
    tokenizer, unet = _tokenizer(), _unet()
    StableDiffusionPipeline(
        vae=_vae(), text_encoder=_text_encoder(tokenizer), tokenizer=tokenizer, unet=unet,
        scheduler=_scheduler(), safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    ).save_pretrained(root / "base")  # fmt: skip
    for name in ("lines", "tile"):
        _controlnet(unet).save_pretrained(root / f"controlnet_{name}")
    _motion().save_pretrained(root / "motion_adapter")
    save_lora(unet, root / "lora")
    torch.random.set_rng_state(state)
    return root


def as_sd(model: LoadedModel) -> SdModel:
    """A loaded model as the one of the family `sd` that it must be, for tests that look at its parts."""
    from flowsynth.models.families.sd.model import SdModel

    assert isinstance(model, SdModel)
    return model
