"""Stage 1: the autoencoder, factor 4, eight latent channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from pydantic import BaseModel, ConfigDict

from flowsynth.training.pictures import pyramid, random_crops
from flowsynth.training.shapes import draw_noise_patches

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from flowsynth.training.pictures import Picture
    from flowsynth.training.styled import StyledPicture


class VaeConfig(BaseModel):
    """Architecture and loss of the autoencoder stage."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    channels: tuple[int, ...] = (32, 64, 96)
    latent_channels: int = 8
    groups: int = 8
    batch: int = 16
    crop: int = 48
    short_sides: tuple[int, ...] = (96, 144, 200, 288)
    styled_short_sides: tuple[int, ...] = (144, 192)
    styled_share: float = 0.35
    shapes_share: float = 0.1
    kl_weight: float = 1e-4
    colour_weight: float = 0.1
    gradient_weight: float = 0.5
    latent_noise: float = 0.05


def build_vae(config: VaeConfig) -> AutoencoderKL:
    """Returns an untrained autoencoder (factor 2 ** (levels - 1))."""
    levels = len(config.channels)
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=config.channels,
        layers_per_block=1,
        latent_channels=config.latent_channels,
        norm_num_groups=config.groups,
        sample_size=64,
        scaling_factor=1.0,
        force_upcast=False,
        mid_block_add_attention=False,
    )


class VaeStage:
    """Reconstruction with a little KL; three channels are tied to the reduced picture's colours."""

    def __init__(self, config: VaeConfig, pictures: dict[str, Picture], styled: list[StyledPicture]) -> None:
        self.config = config
        self.vae = build_vae(config)
        self.levels = pyramid(pictures, config.short_sides)
        self.styled = [version for made in styled for version in made.versions[1:]]

    def modules(self) -> Mapping[str, torch.nn.Module]:
        """Returns the trained modules by name."""
        return {"vae": self.vae}

    def batch(self, rng: np.random.Generator) -> Tensor:
        """Returns a float NCHW batch in [-1, 1]: photos, stylised photos and some drawings."""
        config = self.config
        drawn = int(rng.binomial(config.batch, config.shapes_share))
        styled = int(rng.binomial(config.batch - drawn, config.styled_share)) if self.styled else 0
        parts = [random_crops(self.levels, config.batch - drawn - styled, config.crop, rng)]
        if styled:
            parts.append(random_crops(self.styled, styled, config.crop, rng))
        if drawn:
            parts.append(draw_noise_patches(drawn, config.crop, rng))
        crops = np.concatenate(parts)
        return torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 127.5 - 1

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Returns the loss of one batch, and its PSNR in dB."""
        config = self.config
        pixels = self.batch(rng)
        posterior = self.vae.encode(pixels).latent_dist
        # Noise beyond the posterior's own: what the denoiser leaves must not show after decoding.
        latents = posterior.sample()
        latents = latents + torch.randn_like(latents) * config.latent_noise * torch.rand(
            len(latents), 1, 1, 1
        )
        decoded = self.vae.decode(latents).sample.float()
        mean, logvar = posterior.mean.float(), posterior.logvar.float()
        kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
        colour = F.mse_loss(mean[:, :3], 2 * F.avg_pool2d(pixels, pixels.shape[-1] // mean.shape[-1]))
        error, psnr = reconstruction_loss(decoded, pixels, config.gradient_weight)
        loss = error + config.colour_weight * colour + config.kl_weight * kl
        return loss, {"psnr": psnr, "kl": float(kl.detach()), "colour": float(colour.detach())}


def reconstruction_loss(made: Tensor, wanted: Tensor, gradient_weight: float) -> tuple[Tensor, float]:
    """Absolute, squared and gradient error of pixels in [-1, 1] (NCHW), and their PSNR in dB."""
    mse = F.mse_loss(made, wanted)
    loss = F.l1_loss(made, wanted) + 2 * mse + gradient_weight * gradient_loss(made, wanted)
    # Pixels span 2, so the peak of the PSNR is 2.
    return loss, float(10 * torch.log10(4 / mse.detach()))


def gradient_loss(made: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute difference of horizontal and vertical finite differences (NCHW)."""
    error = made - wanted
    across = (error[..., 1:] - error[..., :-1]).abs().mean()
    down = (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    return across + down


@torch.no_grad()
def reconstruct(vae: AutoencoderKL, picture: Picture) -> tuple[Picture, float]:
    """Encodes and decodes one picture.

    Args:
        vae: The autoencoder.
        picture: uint8 HWC; cut to a multiple of 8.

    Returns:
        The decoded picture and its PSNR in dB.
    """
    height, width = (side // 8 * 8 for side in picture.shape[:2])
    picture = picture[:height, :width]
    pixels = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].to(vae.dtype) / 127.5 - 1
    made = vae.decode(vae.encode(pixels).latent_dist.mode()).sample.float().clamp(-1, 1)
    decoded = ((made[0].permute(1, 2, 0) + 1) * 127.5).round().to(torch.uint8).numpy()
    error = np.square(decoded.astype(np.float64) - picture).mean()
    return decoded, float(10 * np.log10(255**2 / max(error, 1e-9)))
