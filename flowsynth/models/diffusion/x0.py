"""Change what a step predicts the clean latents to be, whatever the scheduler and the prediction type.

DiffSynth (arXiv 2308.03463) takes flicker out of a video inside the denoising loop: predict x_0, smooth it,
and step with the noise that leads there from x_t: eps' = (x_t - sqrt(a) x_0') / sqrt(1 - a).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowsynth.core.errors import RequestError
from flowsynth.models.diffusion.timesteps import Level, decompose, level_of

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
    level: Level,
    prediction_type: str,
    edit: Callable[[torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """The network's output that stands for the edited x_0.

    Args:
        output: T x C x h x w: noise, v, x_0 or the flow, as ``prediction_type`` says, after guidance.
        sample: x_t as the network sees it.
        level: what of it is signal and noise; not all of it signal.
        prediction_type: epsilon, v_prediction, flow_prediction or sample.
        edit: of x_0.

    Returns:
        T x C x h x w in the output's dtype; the output itself where the edit changes nothing.
    """
    import torch

    x0, _ = decompose(output.float(), sample.float(), level, prediction_type)
    changed = edit(x0)
    if torch.equal(changed, x0):
        return output
    signal, sigma = level
    noise = (sample.float() - signal * changed) / sigma
    if prediction_type == "sample":
        return changed.to(output.dtype)
    made: torch.Tensor = noise
    if prediction_type == "v_prediction":
        made = signal * noise - sigma * changed
    elif prediction_type == "flow_prediction":
        made = noise - changed
    return made.to(output.dtype)


def level_at(scheduler: Any, index: int, t: torch.Tensor) -> Level:
    """How much signal and noise the sample holds that a network sees.

    Args:
        scheduler: one whose timesteps are set.
        index: of the timestep among the scheduler's.
        t: the timestep.

    Raises:
        RequestError: the scheduler steps twice a timestep, or its noise is of another kind.
    """
    require_plain(scheduler)
    if getattr(scheduler, "sigmas", None) is None:
        return level_of(float(scheduler.alphas_cumprod[int(t)]))
    sigma = float(scheduler.sigmas[index])
    # k-diffusion's sample is divided by its deviation: sigma^2 = (1 - a) / a.
    return (
        (1 - sigma, sigma) if prediction_of(scheduler) == "flow_prediction" else level_of(1 / (1 + sigma**2))
    )


def step_index(scheduler: Any, t: torch.Tensor) -> int:
    """The index of a timestep among a scheduler's, where it is about to step; 0 where it keeps none."""
    if not hasattr(scheduler, "_init_step_index"):
        return 0
    if scheduler.step_index is None:
        scheduler._init_step_index(t)  # as its own step does first of all
    return int(scheduler.step_index)


def prediction_of(scheduler: Any) -> str:
    """What a scheduler takes a network's output for."""
    kind = scheduler.config.get("prediction_type", "epsilon")
    flows = getattr(scheduler, "alphas_cumprod", None) is None and hasattr(scheduler, "scale_noise")
    return "flow_prediction" if flows else str(kind)


def require_plain(scheduler: Any) -> None:
    """Raise unless x_0 can be told from a single prediction of this scheduler.

    Raises:
        RequestError: it steps twice a timestep, or follows another noise schedule or prediction type.
    """
    config, kind = scheduler.config, prediction_of(scheduler)
    if kind == "flow_prediction":
        known = not config.get("invert_sigmas")
    else:
        known = kind in ("epsilon", "v_prediction", "sample") and not config.get("use_flow_sigmas")
        known = known and getattr(scheduler, "alphas_cumprod", None) is not None
    if scheduler.order != 1 or not known:
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
