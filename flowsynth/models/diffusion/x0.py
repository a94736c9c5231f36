"""Change what a step predicts the clean latents to be, whatever the scheduler and the prediction type.

DiffSynth (arXiv 2308.03463) takes flicker out of a video inside the denoising loop: predict x_0, smooth it,
and step with the noise that leads there from x_t: eps' = (x_t - sqrt(a) x_0') / sqrt(1 - a).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowsynth.core.errors import RequestError
from flowsynth.models.diffusion.timesteps import decompose

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class CleanEdit:
    """A change of the predicted clean latents at some steps.

    Attributes:
        steps: which, from 0 among those that run.
        edit: T x C x h x w, float32, in the denoiser's scale, to the same.
    """

    steps: frozenset[int]
    edit: Callable[[torch.Tensor], torch.Tensor]


def edited_output(
    output: torch.Tensor,
    sample: torch.Tensor,
    alpha: float,
    prediction_type: str,
    edit: Callable[[torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """The network's output that stands for the edited x_0.

    Args:
        output: T x C x h x w: noise, v or x_0, as ``prediction_type`` says, after guidance.
        sample: x_t as the network sees it, of unit variance.
        alpha: the share of signal in the variance, a: x_t = sqrt(a) x_0 + sqrt(1 - a) eps; below 1.
        prediction_type: epsilon, v_prediction or sample.
        edit: of x_0.

    Returns:
        T x C x h x w in the output's dtype; the output itself where the edit changes nothing.
    """
    import torch

    x0, _ = decompose(output.float(), sample.float(), alpha, prediction_type)
    changed = edit(x0)
    if torch.equal(changed, x0):
        return output
    signal, sigma = alpha**0.5, (1 - alpha) ** 0.5
    noise = (sample.float() - signal * changed) / sigma
    if prediction_type == "sample":
        return changed.to(output.dtype)
    made: torch.Tensor = signal * noise - sigma * changed if prediction_type == "v_prediction" else noise
    return made.to(output.dtype)


def signal_share(scheduler: Any, visited: int, step: int, t: torch.Tensor) -> float:
    """The share of signal in the variance at a step, a.

    Args:
        scheduler: one whose timesteps are set.
        visited: how many of its timesteps the run visits, the last ones.
        step: from 0 among these.
        t: the timestep.

    Raises:
        RequestError: the scheduler steps twice a timestep, or its noise is not that of a diffusion model.
    """
    require_plain(scheduler)
    if getattr(scheduler, "sigmas", None) is not None:  # of k-diffusion: sigma^2 = (1 - a) / a
        sigma = float(scheduler.sigmas[len(scheduler.timesteps) - visited + step])
        return 1 / (1 + sigma**2)
    return float(scheduler.alphas_cumprod[int(t)])


def require_plain(scheduler: Any) -> None:
    """Raise unless x_0 can be told from a single prediction of this scheduler.

    Raises:
        RequestError: it steps twice a timestep, or follows another noise schedule or prediction type.
    """
    config = scheduler.config
    kind = config.get("prediction_type", "epsilon")
    known = kind in ("epsilon", "v_prediction", "sample") and not config.get("use_flow_sigmas")
    if scheduler.order != 1 or getattr(scheduler, "alphas_cumprod", None) is None or not known:
        raise RequestError(
            f"denoise: deflicker does not work with {type(scheduler).__name__}, prediction type {kind};"
            " expected a scheduler of one step a timestep, such as ddim, euler or dpmpp_2m"
        )


def require_steps(steps: frozenset[int], visited: int) -> None:
    """Raise unless all steps are among those that run.

    Raises:
        RequestError: one is not.
    """
    if steps and max(steps) >= visited:
        raise RequestError(
            f"denoise: deflicker at step {max(steps)}, but {visited} steps run; expected 0 to {visited - 1}"
        )
