"""The denoiser's networks, each a plain diffusers class."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from diffusers import ControlNetModel, MotionAdapter, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from numpy.typing import NDArray

# v-prediction, and a schedule that ends almost without signal, so that full strength starts from noise.
SCHEDULER: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.02,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
    "clip_sample": False,
    "set_alpha_to_one": True,
    "steps_offset": 1,  # not used with trailing steps; other values make diffusers warn
}


class NetworkConfig(BaseModel):
    """Sizes shared by the UNet, the ControlNets, the motion adapter and the text encoder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    latent_channels: int = 8
    channels: tuple[int, ...] = (48, 96, 128)
    heads: int = 4
    groups: int = 8
    text_width: int = 96
    text_layers: int = 2
    text_heads: int = 4
    embedding_channels: tuple[int, int, int] = (16, 48, 96)
    motion_heads: int = 4


def build_unet(config: NetworkConfig) -> UNet2DConditionModel:
    """Returns an untrained UNet: no attention at the first level, one layer a block."""
    levels = len(config.channels)
    unet = UNet2DConditionModel(
        sample_size=32,
        in_channels=config.latent_channels,
        out_channels=config.latent_channels,
        down_block_types=("DownBlock2D", *("CrossAttnDownBlock2D",) * (levels - 1)),
        up_block_types=(*("CrossAttnUpBlock2D",) * (levels - 1), "UpBlock2D"),
        block_out_channels=config.channels,
        layers_per_block=1,
        norm_num_groups=config.groups,
        cross_attention_dim=config.text_width,
        attention_head_dim=config.heads,  # in SD 1.x's configs this names the number of heads
    )
    unet.set_attn_processor(AttnProcessor())  # in bfloat16 the fused backward pass is slower on a CPU
    return unet


def build_controlnet(config: NetworkConfig) -> ControlNetModel:
    """Returns an untrained ControlNet without attention whose gates are open.

    A ControlNet copied from a trained UNet starts behind zero convolutions. This one is trained together
    with its UNet, where two zero layers in a row would keep each other without a gradient.
    """
    levels = len(config.channels)
    net = ControlNetModel(
        in_channels=config.latent_channels,
        down_block_types=("DownBlock2D",) * levels,
        mid_block_type="UNetMidBlock2D",
        block_out_channels=config.channels,
        layers_per_block=1,
        norm_num_groups=config.groups,
        cross_attention_dim=config.text_width,
        attention_head_dim=config.heads,
        conditioning_embedding_out_channels=config.embedding_channels,
    )
    torch.nn.init.kaiming_normal_(net.controlnet_cond_embedding.conv_out.weight)
    for gate in [*net.controlnet_down_blocks, net.controlnet_mid_block]:
        torch.nn.init.orthogonal_(gate.weight, gain=0.3)
    # The first gate hands the embedding itself to the UNet's last block, at full resolution.
    torch.nn.init.eye_(net.controlnet_down_blocks[0].weight[:, :, 0, 0])
    return net


def build_motion_adapter(config: NetworkConfig) -> MotionAdapter:
    """Returns a motion adapter that changes nothing yet: its last projections are zero."""
    adapter = MotionAdapter(
        block_out_channels=config.channels,
        motion_layers_per_block=1,
        motion_num_attention_heads=config.motion_heads,
        motion_norm_num_groups=config.groups,
        motion_max_seq_length=32,
        use_motion_mid_block=False,
    )
    for name, parameter in adapter.named_parameters():
        if "proj_out" in name:
            torch.nn.init.zeros_(parameter)
    return adapter


def give_gradients(module: torch.nn.Module) -> None:
    """Lets the weights of every convolution have a gradient, also where they are not trained.

    torch 2.13 crashes in some convolutions' backward pass when only the input wants a gradient.
    """
    for part in module.modules():
        if isinstance(part, torch.nn.Conv2d):
            part.requires_grad_(True)


def random_times(count: int, low_share: float, low_step: int, rng: np.random.Generator) -> torch.Tensor:
    """Returns timesteps (count,): a share below ``low_step``, the rest anywhere."""
    times = rng.integers(0, SCHEDULER["num_train_timesteps"], count)
    low = rng.random(count) < low_share
    return torch.from_numpy(np.where(low, rng.integers(0, low_step, count), times))


def blank_rows(
    times: torch.Tensor, share: float | NDArray[np.float64], rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draws rows that start from noise alone, and puts them at the last timestep.

    The schedule's last step still holds 7 % of the picture: enough for a network to read from it where
    things are, and to leave the text unread. Sampling starts without.

    Args:
        times: Timesteps, one a picture or clip (B,).
        share: Of the rows; or how likely it is for each of them (B,).
        rng: Source of randomness.

    Returns:
        The timesteps, and which rows are blank (B,).
    """
    blank = torch.from_numpy(rng.random(len(times)) < share)
    return torch.where(blank, SCHEDULER["num_train_timesteps"] - 1, times), blank


@cache
def alphas_sigmas() -> tuple[torch.Tensor, torch.Tensor]:
    """Returns signal and noise levels (1000,) of the training schedule; their squares sum to 1."""
    start, end = SCHEDULER["beta_start"] ** 0.5, SCHEDULER["beta_end"] ** 0.5
    betas = torch.linspace(start, end, SCHEDULER["num_train_timesteps"]) ** 2
    signal = torch.cumprod(1 - betas, 0)
    return signal.sqrt(), (1 - signal).sqrt()
