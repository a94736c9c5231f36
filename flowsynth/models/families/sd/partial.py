"""Parts of a picture and parts of a schedule: what a mask leaves alone, and noise that is handed on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowsynth.core.errors import RequestError
from flowsynth.models.diffusion.timesteps import decompose
from flowsynth.models.diffusion.x0 import level_at, prediction_of
from flowsynth.models.families.sd.options import SdDenoiseOptions

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Kept:
    """What a mask leaves alone: clean latents, at each step as noisy as the others.

    Attributes:
        init: T x C x h x w, clean.
        mask: T or 1 x 1 x h x w, 1 where something is drawn anew.
        noise: T x C x h x w, that of the start.
    """

    init: torch.Tensor
    mask: torch.Tensor
    noise: torch.Tensor

    def put_back(self, latents: torch.Tensor, steps: Steps, i: int) -> torch.Tensor:
        """Latents T x C x h x w after a step, with what is kept as noisy as they are, or clean at the end."""
        following = None if steps.cut_short(i) else steps.following(i)
        proper = self.init
        if following is not None:
            proper = steps.scheduler.add_noise(self.init, self.noise, following.reshape(1))
        return (1 - self.mask) * proper + self.mask * latents


def mask_of(frames: torch.Tensor, size: tuple[int, int], like: torch.Tensor) -> torch.Tensor:
    """A mask of pixels for latents: the pixel at each latent pixel's corner, as diffusers takes it.

    Args:
        frames: T or 1 x 1 x H x W in [0, 1].
        size: height and width of the latents.
        like: dtype and device.
    """
    from torch.nn import functional as F

    return F.interpolate(frames, size=size).to(like.device, like.dtype)


def some_steps(scheduler: Any, timesteps: torch.Tensor, options: SdDenoiseOptions) -> Steps:
    """The timesteps that are to run.

    Args:
        scheduler: prepared.
        timesteps: the last ones of its own, as many as the strength leaves.
        options: which of them.

    Raises:
        RequestError: none is left, or the scheduler steps twice a timestep.
    """
    first, last = options.first_step, options.last_step
    partly = first > 0 or last is not None or not options.add_noise
    if partly and scheduler.order != 1:
        raise RequestError(
            f"denoise: some of the steps of {type(scheduler).__name__}, which steps twice a timestep;"
            " expected a scheduler such as euler, ddim or dpmpp_2m"
        )
    begin = len(scheduler.timesteps) - len(timesteps) + first
    chosen = timesteps[first:last] if partly else timesteps
    if partly and not len(chosen):
        raise RequestError(f"denoise: steps {first} to {last} of {len(timesteps)}; expected one at least")
    if first and hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(begin)
    return Steps(scheduler, chosen, begin, options)


@dataclass(frozen=True)
class Steps:
    """The steps that run, within their scheduler's own.

    Attributes:
        scheduler: prepared.
        timesteps: those that run.
        begin: index of the first among the scheduler's.
        options: whether noise is put on before and left in after.
    """

    scheduler: Any
    timesteps: torch.Tensor
    begin: int
    options: SdDenoiseOptions

    def following(self, i: int) -> torch.Tensor | None:
        """The scheduler's timestep after one that runs; None after its last."""
        index, every = self.begin + i + 1, self.scheduler.timesteps
        return every[index] if index < len(every) else None

    def cut_short(self, i: int) -> bool:
        """Whether a step is to end without noise though the schedule goes on."""
        last = self.options.last_step is not None and i == len(self.timesteps) - 1
        return last and not self.options.leftover_noise and self.following(i) is not None

    def clean(self, output: torch.Tensor, latents: torch.Tensor, i: int) -> torch.Tensor:
        """What a prediction, after guidance, says is behind the noise of latents at a step."""
        t = self.timesteps[i]
        seen = self.scheduler.scale_model_input(latents, t)
        level = level_at(self.scheduler, self.begin + i, t)
        return decompose(output, seen, level, prediction_of(self.scheduler))[0]

    def taken_over(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents with noise in them, x_0 + sigma eps, as the scheduler has them."""
        return latents * self._signal(self.begin, self.timesteps[0])

    def handed_on(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents after the last step; what noise is left in them, in the scale that all share."""
        following = self.following(len(self.timesteps) - 1) if self.options.leftover_noise else None
        if following is None:
            return latents
        return latents / self._signal(self.begin + len(self.timesteps), following)

    def _signal(self, index: int, t: torch.Tensor) -> float:
        """The factor from x_0 + sigma eps to the scheduler's own samples.

        k-diffusion's have it at one; diffusers tells them by a start that is larger than unit noise.
        """
        if float(self.scheduler.init_noise_sigma) > 1:
            return 1.0
        return float(level_at(self.scheduler, index, t)[0])
