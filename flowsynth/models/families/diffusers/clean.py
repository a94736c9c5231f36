"""Take flicker out of the clean clip that a step predicts, around any pipeline's scheduler.

DiffSynth (arXiv 2308.03463): decode the predicted x_0, smooth it along time, encode, and give the scheduler
the output that leads there; see `flowsynth.models.diffusion.x0`.
"""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowsynth.models.diffusion.x0 import (
    edited_output,
    level_at,
    prediction_of,
    require_plain,
    require_steps,
    step_index,
)
from flowsynth.models.families.diffusers.results import pixels
from flowsynth.models.requests import DeflickerRequest

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class ClipCoder:
    """A clip's latents to frames and back.

    Attributes:
        network: the VAE.
        apart: it takes each frame by itself.
    """

    network: Any
    apart: bool

    def frames(self, latents_TCHW: torch.Tensor) -> torch.Tensor:
        """T x 3 x H x W in [0, 1], of latents in the denoiser's scale."""
        import torch

        slope, mean = self._scale()
        data = (latents_TCHW.float() * slope + mean).to(self.network.dtype)
        if self.apart:
            return torch.cat([pixels(self.network, frame) for frame in data.split(1)])
        known = inspect.signature(self.network.decode).parameters
        if "num_frames" in known:  # of stable video diffusion: frames in the batch
            return pixels(self.network, data, num_frames=data.shape[0])
        return pixels(self.network, data.transpose(0, 1)[None])

    def change(self, before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        """By how much latents move from some frames to others, T' x C x h x w."""
        slope, _ = self._scale()
        return (self._encoded(after) - self._encoded(before)) / slope

    def _encoded(self, frames: torch.Tensor) -> torch.Tensor:
        import torch

        data = (frames * 2 - 1).to(self.network.device, self.network.dtype)
        flat = self.apart or "num_frames" in inspect.signature(self.network.decode).parameters
        with torch.no_grad():
            if flat:
                return torch.cat([self._mode(frame) for frame in data.split(1)])
            return self._mode(data.transpose(0, 1)[None])[0].transpose(0, 1)

    def _mode(self, data: torch.Tensor) -> torch.Tensor:
        mode: torch.Tensor = self.network.encode(data).latent_dist.mode()
        return mode.float()

    def _scale(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Slope and offset from the denoiser's scale to the decoder's, for each channel."""
        import torch

        config = self.network.config
        scaling = float(config.get("scaling_factor") or 1.0)
        mean, std = (
            getattr(self.network, name, None) if name in self.network._buffers else config.get(name)
            for name in ("latents_mean", "latents_std")
        )
        device = self.network.device
        columns = [
            torch.as_tensor(default if value is None else value, dtype=torch.float32, device=device)
            for value, default in ((std, [1.0]), (mean, [0.0]))
        ]
        slope, offset = (column.view(1, -1, 1, 1) for column in columns)
        return slope / scaling, offset


@dataclass(frozen=True, slots=True)
class Grid:
    """How a pipeline's loop lays a clip's latents out.

    Attributes:
        axis: of the frames, where the latents have five; with three they are tokens, frame after frame.
        size: rows and columns of a frame's latents.
    """

    axis: int
    size: tuple[int, int]

    def frames_first(self, data: torch.Tensor) -> torch.Tensor:
        """T x C x h x w."""
        if data.ndim == 3:
            tokens: torch.Tensor = data[0].unflatten(0, (-1, *self.size))
            return tokens.movedim(-1, 1)
        return data[0].movedim(self.axis - 1, 0)

    def as_before(self, data: torch.Tensor, rank: int) -> torch.Tensor:
        """The inverse."""
        if rank == 3:
            return data.movedim(1, -1).flatten(0, 2)[None]
        return data.movedim(0, self.axis - 1)[None]


def put_deflicker(pipe: Any, grid: Grid, coder: ClipCoder, asked: DeflickerRequest) -> None:
    """Have a pipeline's scheduler step from smoothed predictions, at some steps.

    Args:
        pipe: whose scheduler belongs to this call alone.
        grid: of the latents in its loop.
        coder: of these latents.
        asked: which steps, and how to smooth.

    Raises:
        RequestError: x_0 cannot be told from this scheduler's predictions.
    """
    scheduler = pipe.scheduler
    require_plain(scheduler)
    signature, step, done = inspect.signature(scheduler.step), scheduler.step, 0
    height, width = asked.size

    def edit(latents_TCHW: torch.Tensor) -> torch.Tensor:
        frames = coder.frames(latents_TCHW)[..., :height, :width]
        return latents_TCHW + coder.change(frames, asked.smooth(frames)).to(latents_TCHW.device)

    @functools.wraps(step)
    def edited(*args: Any, **kwargs: Any) -> Any:
        nonlocal done
        bound = signature.bind(*args, **kwargs)
        given, t = bound.arguments, bound.arguments["timestep"]
        index = step_index(scheduler, t)
        if done == 0:
            require_steps(asked.steps, len(scheduler.timesteps) - index)
        if done in asked.steps:
            output, sample = given["model_output"], given["sample"]
            scale = getattr(scheduler, "scale_model_input", None)
            seen = sample if scale is None else scale(sample, t)
            level, kind = level_at(scheduler, index, t), prediction_of(scheduler)
            frames = grid.frames_first(output), grid.frames_first(seen)
            given["model_output"] = grid.as_before(edited_output(*frames, level, kind, edit), output.ndim)
        done += 1
        return step(*bound.args, **bound.kwargs)

    scheduler.step = edited
