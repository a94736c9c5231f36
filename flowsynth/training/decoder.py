"""Stage 1b: the decoder again, by how pictures look; the latents stay as they are.

Squared and absolute errors teach a decoder to leave out what it can't place to the pixel: paper grain,
hatching, fur. A perceptual loss makes it draw them (Johnson et al., arXiv 1603.08155; the autoencoders of
latent diffusion, Rombach et al., arXiv 2112.10752, have one from the start). Since only the decoder moves,
whatever was trained on the latents stays valid.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import torch

from flowsynth.training.perception import perceptual_network
from flowsynth.training.vae import reconstruction_loss

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from torch import Tensor

    from flowsynth.nets.likeness.lpips import Lpips
    from flowsynth.training.vae import VaeStage


class DecoderStage:
    """Trains decoder and ``post_quant_conv`` on what the finished encoder makes.

    Args:
        source: The autoencoder's stage, with its averaged weights; its batches are used too.
        weight: Of the perceptual loss; at 0 its network isn't asked for.
        cache: Folder that keeps the perceptual network, which is fetched when first used.
    """

    def __init__(self, source: VaeStage, weight: float, cache: Path) -> None:
        self.source, self.vae, self.weight, self.cache = source, source.vae, weight, cache
        self.vae.encoder.requires_grad_(False)
        self.vae.quant_conv.requires_grad_(False)

    def modules(self) -> Mapping[str, torch.nn.Module]:
        """Returns the trained modules by name."""
        return {"decoder": self.vae.decoder, "post_quant_conv": self.vae.post_quant_conv}

    @cached_property
    def perceptual(self) -> Lpips:
        """LPIPS with AlexNet; its weights stay."""
        return perceptual_network(self.cache)

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Returns the loss of one batch, its PSNR in dB and its LPIPS."""
        pixels = self.source.batch(rng)
        with torch.no_grad():
            latents = self.vae.encode(pixels).latent_dist.sample()
        spread = self.source.config.latent_noise * torch.rand(len(latents), 1, 1, 1)
        decoded = self.vae.decode(latents + torch.randn_like(latents) * spread).sample.float()
        loss, psnr = reconstruction_loss(decoded, pixels, self.source.config.gradient_weight)
        figures = {"psnr": psnr}
        if self.weight:
            self.perceptual.zero_grad()
            distance = self.perceptual((decoded + 1) / 2, (pixels + 1) / 2).mean()
            loss = loss + self.weight * distance
            figures["lpips"] = float(distance.detach())
        return loss, figures
