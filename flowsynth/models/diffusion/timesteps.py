"""Which timesteps a run visits: diffusers' rule for image-to-image, and Diffutoon's."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from flowsynth.core.errors import RequestError

if TYPE_CHECKING:
    import torch

SpacingMode: TypeAlias = Literal["scheduler", "diffutoon"]


def diffutoon_timesteps(steps: int, strength: float, num_train_timesteps: int = 1000) -> list[int]:
    """Timesteps evenly from round(1000 s) - 1 down to 0, all steps inside that range.

    Diffutoon (arXiv 2401.16224) spends every step below the starting noise level, where diffusers would
    skip the first (1 - s) of them.

    Args:
        steps: number of steps; at most as many as there are timesteps in the range.
        strength: s in (0, 1].
        num_train_timesteps: timesteps of training, 1000 for Stable Diffusion.
    """
    first = max(round(num_train_timesteps * strength) - 1, 0)
    steps = min(steps, first + 1)
    if steps == 1:
        return [first]
    return [round(first - i * first / (steps - 1)) for i in range(steps)]


class EvenDdim:
    """DDIM (arXiv 2010.02502, equation 12, eta = 0) along any falling timesteps, ending at alpha = 1.

    diffusers' DDIM finds its next timestep by a fixed stride, so it can't follow Diffutoon's spacing.
    """

    order = 1

    def __init__(self, base: Any, timesteps: list[int], device: torch.device) -> None:
        """Take the noise schedule and prediction type of a ``DDIMScheduler``."""
        import torch

        self.config = base.config
        self.init_noise_sigma = base.init_noise_sigma
        self.add_noise = base.add_noise
        self.timesteps = torch.tensor(timesteps, device=device)
        self.alphas_cumprod = base.alphas_cumprod
        self._alpha = base.alphas_cumprod.tolist()
        self._next = dict(zip(timesteps, [*timesteps[1:], -1], strict=True))

    def scale_model_input(self, sample: torch.Tensor, _timestep: Any) -> torch.Tensor:
        """The sample as it is: DDIM keeps the variance at one."""
        return sample

    def step(
        self, model_output: torch.Tensor, timestep: Any, sample: torch.Tensor, **_: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One step.

        Args:
            model_output: noise, v or x0, as the config's ``prediction_type`` says.
            timestep: one of :attr:`timesteps`.
            sample: x_t.

        Returns:
            x at the next timestep, and the predicted x_0.
        """
        t = int(timestep)
        alpha = self._alpha[t]
        following = self._next[t]
        alpha_next = self._alpha[following] if following >= 0 else 1.0
        x0, noise = decompose(model_output, sample, level_of(alpha), self.config.prediction_type)
        return alpha_next**0.5 * x0 + (1 - alpha_next) ** 0.5 * noise, x0


#: Factors of the clean latents and of the noise: x_t = signal x_0 + sigma eps.
Level: TypeAlias = tuple[float, float]


def level_of(alpha: float) -> Level:
    """The factors where `alpha` is the share of signal in a variance of one, a."""
    return alpha**0.5, (1 - alpha) ** 0.5


def decompose(
    output: torch.Tensor, sample: torch.Tensor, level: Level, prediction_type: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """The predicted x_0 and noise behind a network's output."""
    signal, sigma = level
    if prediction_type == "epsilon":
        return (sample - sigma * output) / signal, output
    if prediction_type == "v_prediction":
        return signal * sample - sigma * output, signal * output + sigma * sample
    if prediction_type == "flow_prediction":  # eps - x_0, where signal + sigma = 1 (arXiv 2209.03003)
        return sample - sigma * output, sample + signal * output
    return output, (sample - signal * output) / sigma


def set_timesteps(
    scheduler: Any, steps: int, strength: float | None, spacing: SpacingMode, device: torch.device
) -> Any:
    """Prepare a fresh scheduler; its ``timesteps`` are then those to visit.

    Args:
        scheduler: a fresh diffusers scheduler.
        steps: ``num_inference_steps``.
        strength: None without an initial image; else the share of the noise in [0, 1]: as in diffusers'
            ``get_timesteps``, only the last ``int(steps * strength)`` steps run (with none, the input comes
            back as it is).
        spacing: the scheduler's own, or :func:`diffutoon_timesteps`.
        device: where the timesteps live.

    Returns:
        The scheduler to step with, and the timesteps to visit.

    Raises:
        RequestError: the scheduler takes no timesteps from outside, or refuses the number of steps.
    """
    if spacing == "diffutoon":
        return _set_diffutoon(scheduler, steps, 1.0 if strength is None else strength, device)
    scheduler.set_timesteps(steps, device=device)
    if strength is None:
        return scheduler, scheduler.timesteps
    begin = max(steps - min(int(steps * strength), steps), 0) * scheduler.order
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(begin)
    return scheduler, scheduler.timesteps[begin:]


def _set_diffutoon(scheduler: Any, steps: int, strength: float, device: torch.device) -> Any:
    from diffusers import DDIMScheduler

    values = (
        diffutoon_timesteps(steps, strength, scheduler.config.num_train_timesteps) if strength > 0 else []
    )
    if isinstance(scheduler, DDIMScheduler):
        even = EvenDdim(scheduler, values, device)
        return even, even.timesteps
    if "timesteps" not in inspect.signature(scheduler.set_timesteps).parameters:
        raise RequestError(
            f"timestep_spacing 'diffutoon' needs a scheduler that takes timesteps, which"
            f" {type(scheduler).__name__} does not; use ddim, euler or dpmpp_2m"
        )
    if values:
        scheduler.set_timesteps(timesteps=values, device=device)
    return scheduler, scheduler.timesteps if values else []
