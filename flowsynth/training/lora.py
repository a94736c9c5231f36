"""Stage 4: one LoRA a look, on the frozen denoiser (Hu et al., arXiv 2106.09685)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from flowsynth.training.captions import style_caption
from flowsynth.training.latents import encode
from flowsynth.training.looks import LOOKS
from flowsynth.training.networks import alphas_sigmas, give_gradients, random_times
from flowsynth.training.styled import VERSIONS, to_levels, to_pixels
from flowsynth.training.text import drop_captions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from diffusers import AutoencoderKL
    from torch import Tensor

    from flowsynth.training.denoiser import DenoiserStage

_LAYERS = ["to_q", "to_k", "to_v", "to_out.0", "conv1", "conv2", "proj_in", "proj_out", "conv_out"]


class LoraConfig(BaseModel):
    """Sizes and noise of the LoRA stage."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rank: int = 8
    batch: int = 24
    crop: int = 16  # latents
    low_noise_share: float = 0.4
    low_noise_step: int = 600
    tile_dropout: float = 0.2
    lines_dropout: float = 0.2
    caption_dropout: float = 0.1


class LoraStage:
    """Moves every style's picture to one look, whatever the caption says."""

    def __init__(
        self,
        config: LoraConfig,
        look: str,
        vae: AutoencoderKL,
        denoiser: DenoiserStage,
    ) -> None:
        from peft import LoraConfig as PeftConfig

        self.config, self.look, self.vae, self.denoiser = config, LOOKS[look], vae, denoiser
        for module in denoiser.modules().values():
            module.requires_grad_(False)
        self.unet = denoiser.unet
        self.unet.add_adapter(
            PeftConfig(r=config.rank, lora_alpha=config.rank, target_modules=_LAYERS), adapter_name=look
        )
        give_gradients(self.unet)
        self.name = look
        self.alphas, self.sigmas = alphas_sigmas()

    def modules(self) -> Mapping[str, torch.nn.Module]:
        """Returns the trained modules by name."""
        layers = {
            name.replace(".", "/"): module
            for name, module in self.unet.named_modules()
            if name.endswith((f".lora_A.{self.name}", f".lora_B.{self.name}"))
        }
        return {"lora": torch.nn.ModuleDict(layers)}

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Returns the mean squared error of v over one batch."""
        config = self.config
        self.unet.zero_grad()
        pixels, lines, captions = self._batch(rng)
        wanted_pixels = self.look(pixels, lines[:, :1])
        target = encode(self.vae, to_levels(wanted_pixels))
        times = random_times(config.batch, config.low_noise_share, config.low_noise_step, rng)
        alpha, sigma = self.alphas[times][:, None, None, None], self.sigmas[times][:, None, None, None]
        noise = torch.randn_like(target)
        noisy, wanted = alpha * target + sigma * noise, alpha * noise - sigma * target
        with torch.no_grad():
            text = self.denoiser.states(drop_captions(captions, config.caption_dropout, rng))
        off = rng.random((2, config.batch)) < np.array([[config.tile_dropout], [config.lines_dropout]])
        scales = torch.from_numpy(~off).float()
        made = self.denoiser.predict((noisy, times, text), (pixels, lines), scales)
        return (made - wanted).square().mean(), {}

    def _batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, list[str]]:
        """Returns crops of any version (B, 3, H, W), their lines as RGB, and captions."""
        styles, side = self.denoiser.styles, 4 * self.config.crop
        pixels, lines, captions = [], [], []
        for _ in range(self.config.batch):
            index, style = int(rng.integers(len(styles.styled))), int(rng.integers(len(VERSIONS)))
            made = styles.styled[index]
            top, left = (int(rng.integers(length - side + 1)) for length in made.lines.shape)
            window = np.s_[top : top + side, left : left + side]
            pixels.append(made.versions[style][window])
            lines.append(np.repeat(made.lines[window][..., None], 3, axis=2))
            captions.append(style_caption(VERSIONS[style], styles.subjects[index], rng))
        return to_pixels(np.stack(pixels)), to_pixels(np.stack(lines)), captions

    def export(self, folder: Path) -> None:
        """Writes the adapter as diffusers' ``load_lora_weights`` reads it, in float16."""
        from diffusers import StableDiffusionPipeline
        from peft.utils import get_peft_model_state_dict

        state: dict[str, Any] = get_peft_model_state_dict(self.unet, adapter_name=self.name)
        half = {key: value.detach().to(torch.float16).contiguous() for key, value in state.items()}
        StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=half, safe_serialization=True)
