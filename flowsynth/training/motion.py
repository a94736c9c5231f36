"""Stage 3: the motion adapter, on clips that pan and zoom over pictures and on moving shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from diffusers import MotionAdapter, UNetMotionModel
from diffusers.models.attention_processor import AttnProcessor
from PIL import Image
from pydantic import BaseModel, ConfigDict

from flowsynth.functional.picture.edges import canny
from flowsynth.training.captions import style_caption
from flowsynth.training.errors import mean_where, on_shapes
from flowsynth.training.latents import encode
from flowsynth.training.networks import (
    alphas_sigmas,
    blank_rows,
    build_motion_adapter,
    give_gradients,
    random_times,
)
from flowsynth.training.shapes import DRAWN_EDGES, moving_drawing, random_drawing, render_clip
from flowsynth.training.styled import VERSIONS, to_pixels
from flowsynth.training.text import drop_captions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from diffusers import AutoencoderKL
    from numpy.typing import NDArray
    from torch import Tensor

    from flowsynth.training.denoiser import DenoiserStage
    from flowsynth.training.pictures import Picture


class MotionConfig(BaseModel):
    """Clips of the motion stage."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clips: int = 2  # a batch
    frames: int = 16
    side: int = 64  # pixels
    speed: float = 4.0  # pixels a frame at most
    zoom: float = 0.15  # change of scale over a clip at most
    shapes_share: float = 0.6  # clips of shapes
    still_share: float = 0.2  # of these, clips of any drawing, most of which stand; the rest move
    low_noise_share: float = 0.3
    low_noise_step: int = 450
    blank_share: float = 0.25  # clips that start from noise alone, where the text says which way
    free_share: float = 0.5  # clips of moving shapes without any control
    control_dropout: float = 0.3  # of each control, among the other clips
    caption_dropout: float = 0.1
    shared_noise_share: float = 0.4  # clips with the same noise in every frame
    mixed_noise_share: float = 0.2  # clips whose frames' noise has a part in common
    change_weight: float = 1.0  # of the error of changes from frame to frame
    shape_weight: float = 0.0  # of both errors on shapes alone, large or small


class MotionStage:
    """Trains motion modules between the frozen layers of a finished denoiser.

    Noise is independent for each frame, as in AnimateDiff (arXiv 2307.04725), or shared by all of them, or in
    part, as in PYoCo (arXiv 2305.10474). Agreeing on what lies below it is what the modules learn; changes
    from frame to frame count on their own, since only what the frames don't agree on is seen in them.
    """

    def __init__(self, config: MotionConfig, vae: AutoencoderKL, denoiser: DenoiserStage) -> None:
        self.config, self.vae, self.denoiser = config, vae, denoiser
        self.adapter = build_motion_adapter(denoiser.config.network)
        for module in denoiser.modules().values():
            module.requires_grad_(False)
        self.unet = UNetMotionModel.from_unet2d(denoiser.unet, self.adapter)
        self.unet.requires_grad_(False)
        give_gradients(self.unet)
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
        drawn = rng.random(config.clips) < config.shapes_share
        clips = (self._moving(rng) if shape else self._pan(rng) for shape in drawn)
        versions, lines, captions = zip(*clips, strict=True)
        latents = torch.stack([encode(self.vae, clip) for clip in versions])  # BTCHW
        times = random_times(config.clips, config.low_noise_share, config.low_noise_step, rng)
        times, blank = blank_rows(times, config.blank_share, rng)
        shape = (-1, 1, 1, 1, 1)
        start = latents * ~blank.view(shape)
        alpha, sigma = self.alphas[times].view(shape), self.sigmas[times].view(shape)
        noisy = alpha * start + sigma * self._noise(latents, rng)
        wanted = (alpha * noisy - latents) / sigma
        with torch.no_grad():
            text = self.denoiser.states(drop_captions(captions, config.caption_dropout, rng))
        text = text.repeat_interleave(config.frames, 0)  # one row a frame
        edges = to_pixels(np.concatenate(lines)[..., None]).expand(-1, 3, -1, -1)
        pictures = to_pixels(np.concatenate(versions)), edges
        off = self._off(drawn, rng)
        control = self._control((noisy, times, text), pictures, off)
        made = self.unet(noisy.transpose(1, 2), times, text, **control).sample.float()
        error = made.transpose(1, 2) - wanted
        shapes = on_shapes(pictures[0]).view(config.clips, config.frames, 1, *latents.shape[-2:])
        shapes[~torch.from_numpy(drawn)] = 0
        squared, on_squared = self._errors(error, shapes)
        changes, on_changes = self._errors(error.diff(dim=1), torch.maximum(shapes[:, 1:], shapes[:, :-1]))
        figures = {"error": float(squared.detach()), "changes": float(changes.detach())}
        figures["shapes"] = float(on_changes.detach())
        on = config.shape_weight * (on_squared + config.change_weight * on_changes)
        return squared + config.change_weight * changes + on, figures

    @staticmethod
    def _errors(errors: Tensor, shapes: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the mean square of errors (B, T, C, h, w), and that on shapes (B, T, 1, h, w)."""
        squares = errors.square()
        return squares.mean(), mean_where(squares.flatten(0, 1), shapes.flatten(0, 1)).mean()

    def _noise(self, latents: Tensor, rng: np.random.Generator) -> Tensor:
        """Draws noise for clips (B, T, C, h, w): each clip's frames have none, all or a part in common."""
        config, count = self.config, len(latents)
        kinds = rng.random(count)
        mixed = kinds < config.shared_noise_share + config.mixed_noise_share
        shares = np.where(kinds < config.shared_noise_share, 1.0, np.where(mixed, rng.random(count), 0.0))
        common = torch.from_numpy(shares).to(latents.dtype).view(-1, 1, 1, 1, 1)
        return common.sqrt() * torch.randn_like(latents[:, :1]) + (1 - common).sqrt() * torch.randn_like(
            latents
        )

    def _moving(self, rng: np.random.Generator) -> tuple[Picture, Picture, str]:
        """Returns frames (T, H, W, 3) of shapes that move or stand, their lines (T, H, W) and a caption."""
        still = rng.random() < self.config.still_share
        drawing = random_drawing(rng) if still else moving_drawing(rng)
        frames = render_clip(drawing, self.config.side, self.config.frames, rng)
        edges = canny(to_pixels(frames), **DRAWN_EDGES)[:, 0]
        return frames, (edges * 255).to(torch.uint8).numpy(), drawing.caption(rng)

    def _pan(self, rng: np.random.Generator) -> tuple[Picture, Picture, str]:
        """Returns the same of a camera that moves over a picture in one of the styles."""
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

    def _off(self, drawn: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
        """Draws which of the two controls each clip goes without, (2, clips).

        What footage shows is never left to the text: redrawing it steadily is what is learned there.
        """
        config = self.config
        off = rng.random((2, config.clips)) < config.control_dropout
        return off | (drawn & (rng.random(config.clips) < config.free_share))

    @torch.no_grad()
    def _control(
        self,
        inputs: tuple[Tensor, Tensor, Tensor],
        pictures: tuple[Tensor, Tensor],
        off: NDArray[np.bool_],
    ) -> dict[str, Any]:
        """Runs the ControlNets on every frame of the clips that each of them is on for."""
        config, (noisy, times, text) = self.config, inputs
        scales = torch.from_numpy(~off).float().repeat_interleave(config.frames, 1)
        frames = (noisy.flatten(0, 1), times.repeat_interleave(config.frames), text)
        return self.denoiser.control(frames, pictures, scales)

    def export(self) -> MotionAdapter:
        """Returns the trained modules as a ``MotionAdapter``."""
        stored = {key: value for key, value in self.unet.state_dict().items() if "motion_modules" in key}
        self.adapter.load_state_dict(stored)
        return self.adapter


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
