"""Training on what sampling meets: states that the denoiser made itself, with its errors in them.

Otherwise a denoiser is shown true pictures with noise on them only; in sampling every step starts from the
last one's guess, and a halo or a grid in it passes for something to keep (exposure bias: Ning et al. 2023,
arXiv 2301.11706). Here some rows are taken one step of DDIM on first (Song et al. 2021, arXiv 2010.02502,
equation 12 with eta 0), and are to reach the true picture from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from pydantic import BaseModel, ConfigDict

from flowsynth.training.networks import alphas_sigmas

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from torch import Tensor


class RolloutConfig(BaseModel):
    """Which rows are taken a step on, and how far."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: float = 0.0
    timesteps: tuple[int, int] = (60, 260)  # 4 to 16 steps from noise to picture
    lowest_step: int = 200  # below it, the v that leads to the true picture is large
    excess: tuple[float, float] = (0.5, 2.0)  # factors of the errors: guidance enlarges them


@dataclass(frozen=True)
class Noisy:
    """Latents with noise on them.

    Attributes:
        latents: (B, C, h, w).
        times: Timesteps (B,).
    """

    latents: Tensor
    times: Tensor

    @classmethod
    def mix(cls, start: Tensor, noise: Tensor, times: Tensor) -> Noisy:
        """Returns pictures (B, C, h, w) with noise at timesteps (B,)."""
        alpha, sigma = _levels(times)
        return cls(alpha * start + sigma * noise, times)

    @property
    def alpha(self) -> Tensor:
        """Signal levels (B, 1, 1, 1)."""
        return _levels(self.times)[0]

    @property
    def sigma(self) -> Tensor:
        """Noise levels, same shape."""
        return _levels(self.times)[1]

    def __getitem__(self, rows: Tensor) -> Noisy:
        return Noisy(self.latents[rows], self.times[rows])

    def picture(self, v: Tensor) -> Tensor:
        """Returns the picture that a prediction of v is of (Salimans and Ho 2022, arXiv 2202.00512)."""
        return self.alpha * self.latents - self.sigma * v

    def noise(self, v: Tensor) -> Tensor:
        """Returns the noise that it leaves."""
        return self.sigma * self.latents + self.alpha * v

    def towards(self, picture: Tensor) -> Tensor:
        """Returns the v that leads to a picture, wherever these latents came from."""
        return (self.alpha * self.latents - picture) / self.sigma


def _levels(times: Tensor) -> tuple[Tensor, Tensor]:
    alphas, sigmas = (levels[times][:, None, None, None] for levels in alphas_sigmas())
    return alphas, sigmas


def roll_on(
    config: RolloutConfig,
    noisy: Noisy,
    target: Tensor,
    predict: Callable[[Noisy, Tensor], Tensor],
    rng: np.random.Generator,
) -> tuple[Noisy, Tensor]:
    """Takes a share of rows one step of sampling on.

    Args:
        config: Which rows.
        noisy: What they are now.
        target: True pictures (B, C, h, w).
        predict: Returns v of some rows, given these and their numbers (N,).
        rng: Source of randomness.

    Returns:
        All rows, and which of them were taken on (B,).
    """
    count = len(target)
    later = noisy.times - torch.from_numpy(rng.integers(*config.timesteps, count))
    moved = torch.from_numpy(rng.random(count) < config.share) & (later >= config.lowest_step)
    rows = moved.nonzero()[:, 0]
    if not len(rows):
        return noisy, moved
    with torch.no_grad():
        before = noisy[rows]
        v = predict(before, rows)
        excess = torch.from_numpy(rng.uniform(*config.excess, len(rows))).to(v.dtype)[:, None, None, None]
        made = torch.lerp(target[rows], before.picture(v), excess)
        after = Noisy.mix(made, before.noise(v), later[rows])
    latents = noisy.latents.index_copy(0, rows, after.latents)
    return Noisy(latents, torch.where(moved, later, noisy.times)), moved
