"""How far decoded latents look from a picture, as a loss for those who predict latents.

Squared errors leave out what can't be placed to the pixel: paper grain, hatching, the rim of a brush stroke.
A perceptual loss makes it drawn (Johnson et al., arXiv 1603.08155).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from safetensors.torch import load_file

from flowsynth.nets.likeness.lpips import Lpips, lpips_from_state
from flowsynth.training.networks import give_gradients
from flowsynth.weights.store import fetch_weights

if TYPE_CHECKING:
    from pathlib import Path

    from diffusers import AutoencoderKL
    from torch import Tensor


def perceptual_network(cache: Path) -> Lpips:
    """Returns LPIPS with AlexNet, fetched into a folder when first used.

    Its weights have gradients, as `give_gradients` explains, but are never moved.
    """
    return lpips_from_state(load_file(fetch_weights("lpips-alex", cache))).requires_grad_(True)


class Perception:
    """Looks at latents through a finished decoder.

    Args:
        vae: The autoencoder; its weights stay, their gradients are thrown away.
        cache: Folder that keeps the perceptual network.
    """

    def __init__(self, vae: AutoencoderKL, cache: Path) -> None:
        self.vae, self.network = vae, perceptual_network(cache)
        give_gradients(vae.decoder)

    def loss(self, latents: Tensor, pixels: Tensor) -> Tensor:
        """Returns the LPIPS (B,) between decoded latents (B, C, h, w) and pictures (B, 3, H, W) in [0, 1]."""
        self.vae.zero_grad()
        self.network.zero_grad()
        decoded = self.vae.decode(latents).sample.float()
        distance: Tensor = self.network((decoded + 1) / 2, pixels)
        return distance
