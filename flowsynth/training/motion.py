"""Stage 4: the motion adapter, on clips that pan and zoom over pictures and on moving shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from diffusers import MotionAdapter, UNetMotionModel
from diffusers.models.attention_processor import AttnProcessor
from PIL import Image
from pydantic import BaseModel, ConfigDict

from .captions import style_caption
from .denoiser import sum_scaled
from .latents import encode
from .networks import alphas_sigmas, build_motion_adapter
from .styled import VERSIONS
from .text import tokenize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from diffusers import AutoencoderKL
    from torch import Tensor

    from .denoiser import DenoiserStage
    from .pictures import Picture


class MotionConfig(BaseModel):
    """Clips of the motion stage."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clips: int = 3  # a batch
    frames: int = 8
    side: int = 64  # pixels
    speed: float = 4.0  # pixels a frame at most
    zoom: float = 0.15  # change of scale over a clip at most
    low_noise_share: float = 0.6
    low_noise_step: int = 450
    control_dropout: float = 0.3


class MotionStage:
    """Trains motion modules between the frozen layers of a finished denoiser.

    Noise is independent for each frame, as in AnimateDiff (arXiv 2307.04725): agreeing on what lies below
    it is what the modules learn.
    """

    def __init__(self, config: MotionConfig, vae: AutoencoderKL, denoiser: DenoiserStage) -> None:
        self.config, self.vae, self.denoiser = config, vae, denoiser
        self.adapter = build_motion_adapter(denoiser.config.network)
        for module in denoiser.modules().values():
            module.requires_grad_(False)
        self.unet = UNetMotionModel.from_unet2d(denoiser.unet, self.adapter)
        self.unet.requires_grad_(False)
        for module in self.unet.modules():
            if isinstance(module, torch.nn.Conv2d):
                # torch 2.13 crashes in some convolutions' backward pass when only the input wants a
                # gradient. These weights get one and are not given to the optimiser.
                module.requires_grad_(True)
        self.unet.set_attn_processor(AttnProcessor())
        self.motion = torch.nn.ModuleDict(
            {
                name.replace(".", "/"): module
                for name, module in self.unet.named_modules()
                if name.endswith("motion_modules")
            }
        )
        self.motion.requires_grad_(True)
        self.alphas, self.sigmas = alphas_sigmas()

    def modules(self) -> Mapping[str, torch.nn.Module]:
        """Returns the trained modules by name."""
        return {"motion": self.motion}

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Returns the mean squared error of v over a batch of clips."""
        config = self.config
        self.unet.zero_grad()
        versions, lines, captions = zip(*(self._clip(rng) for _ in range(config.clips)), strict=True)
        latents = torch.stack([encode(self.vae, clip) for clip in versions])  # BTCHW
        times = self._times(rng)
        shape = (-1, 1, 1, 1, 1)
        alpha, sigma = self.alphas[times].view(shape), self.sigmas[times].view(shape)
        noise = torch.randn_like(latents)
        noisy = alpha * latents + sigma * noise
        wanted = alpha * noise - sigma * latents
        text = self.denoiser.text_encoder(tokenize(self.denoiser.tokenizer, captions)).last_hidden_state
        on = torch.from_numpy(rng.random((2, config.clips)) >= config.control_dropout).float()
        pictures = (_pixels(np.stack(versions)), _pixels(np.stack(lines)[..., None]).expand(-1, 3, -1, -1))
        down, middle = self._control(noisy, times, text, pictures, on)
        made = self.unet(
            noisy.transpose(1, 2),
            times,
            text.repeat_interleave(config.frames, 0),
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
        ).sample.float()
        error = (made.transpose(1, 2) - wanted).square().mean()
        return error, {}

    def _times(self, rng: np.random.Generator) -> Tensor:
        config = self.config
        times = rng.integers(0, 1000, config.clips)
        low = rng.random(config.clips) < config.low_noise_share
        return torch.from_numpy(np.where(low, rng.integers(0, config.low_noise_step, config.clips), times))

    def _clip(self, rng: np.random.Generator) -> tuple[Picture, Picture, str]:
        styles = self.denoiser.styles
        index, style = int(rng.integers(len(styles.styled))), int(rng.integers(len(VERSIONS)))
        made = styles.styled[index]
        windows = camera_path(self.config, made.lines.shape, rng)
        side = self.config.side
        picture, edges = Image.fromarray(made.versions[style]), Image.fromarray(made.lines)
        bilinear = Image.Resampling.BILINEAR
        frames = [np.asarray(picture.resize((side, side), bilinear, box)) for box in windows]
        lines = [np.asarray(edges.resize((side, side), bilinear, box)) for box in windows]
        return np.stack(frames), np.stack(lines), style_caption(VERSIONS[style], styles.subjects[index], rng)

    @torch.no_grad()
    def _control(
        self, noisy: Tensor, times: Tensor, text: Tensor, pictures: tuple[Tensor, Tensor], on: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """Runs both ControlNets on every frame; ``on`` (2, clips) scales them."""
        count = self.config.frames
        repeated = times.repeat_interleave(count), text.repeat_interleave(count, 0)
        nets = zip((self.denoiser.tile, self.denoiser.lines), pictures, strict=True)
        flat = noisy.flatten(0, 1)
        made = [net(flat, *repeated, controlnet_cond=shown, return_dict=False) for net, shown in nets]
        scales = [row.repeat_interleave(count).view(-1, 1, 1, 1) for row in on]
        layers = zip(*(down for down, _ in made), strict=True)
        return [sum_scaled(layer, scales) for layer in layers], sum_scaled([m for _, m in made], scales)

    def export(self) -> MotionAdapter:
        """Returns the trained modules as a ``MotionAdapter``."""
        stored = {key: value for key, value in self.unet.state_dict().items() if "motion_modules" in key}
        self.adapter.load_state_dict(stored)
        return self.adapter


def _pixels(clips: Picture) -> Tensor:
    """uint8 (B, T, H, W, C) to float (B * T, C, H, W) in [0, 1]."""
    return torch.from_numpy(clips).flatten(0, 1).permute(0, 3, 1, 2).float() / 255


def camera_path(
    config: MotionConfig, size: tuple[int, ...], rng: np.random.Generator
) -> list[tuple[float, float, float, float]]:
    """Returns one window (left, top, right, bottom) a frame, all inside a picture of (height, width).

    The camera moves in a straight line at constant speed and zooms evenly.
    """
    height, width = size[:2]
    steps = np.linspace(0, 1, config.frames)
    scale = np.exp(np.log1p(config.zoom) * rng.uniform(-1, 1) * steps)
    sides = np.minimum(config.side * scale / scale.max() ** 0.5, min(height, width) - 1)
    reach = config.speed * (config.frames - 1)
    room = np.array([width, height]) - sides.max()
    start = rng.uniform(0, 1, 2) * room
    end = np.clip(start + rng.uniform(-1, 1, 2) * reach, 0, room)
    corners = start + steps[:, None] * (end - start)
    return [
        (float(x), float(y), float(x + s), float(y + s)) for (x, y), s in zip(corners, sides, strict=True)
    ]
