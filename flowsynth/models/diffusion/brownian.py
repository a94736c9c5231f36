"""The noise of DPM++ SDE, which comes from a Brownian path: a function of the seed, as all other noise is.

diffusers' scheduler takes no generator, and draws the path's seed from the global one unless it is told
(Kidger et al., "Neural SDEs as infinite-dimensional GANs", arXiv 2102.03657; torchsde's Brownian tree).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowsynth.models.diffusion.noise import Generators

if TYPE_CHECKING:
    import torch


def seed_path(scheduler: Any, generators: Generators, latents: torch.Tensor) -> None:
    """Have a scheduler with a Brownian path take its seed from the call's; others are left as they are.

    Args:
        scheduler: fresh, its timesteps set. A ``noise_sampler_seed`` among its options stays.
        generators: of the call, one or one a frame: each frame then has the path of its own seed.
        latents: at the first step, TCHW or 1CTHW.
    """
    if not hasattr(scheduler, "noise_sampler_seed") or scheduler.noise_sampler_seed is not None:
        return
    if not isinstance(generators, list):
        scheduler.noise_sampler_seed = generators.initial_seed()
        return
    seeds = [generator.initial_seed() for generator in generators]
    if latents.ndim == 4:
        scheduler.noise_sampler_seed = seeds
    else:
        scheduler.noise_sampler = _FramePaths(scheduler, latents[0].transpose(0, 1), seeds)


class _FramePaths:
    """A path a frame, for latents that have the frames on their third axis."""

    def __init__(self, scheduler: Any, frames_TCHW: torch.Tensor, seeds: list[int]) -> None:
        from diffusers.schedulers.scheduling_dpmsolver_sde import BrownianTreeNoiseSampler

        sigmas = scheduler.sigmas
        low, high = sigmas[sigmas > 0].min().item(), sigmas.max().item()
        self._paths = BrownianTreeNoiseSampler(frames_TCHW, low, high, seeds)

    def __call__(self, sigma: Any, sigma_next: Any) -> torch.Tensor:
        noise: torch.Tensor = self._paths(sigma, sigma_next)
        return noise.transpose(0, 1)[None]
