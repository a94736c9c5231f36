"""Where on a noise schedule a percent lies, as a share of the steps that run.

ComfyUI's percents are of the training's timesteps: 0 is all noise, 1 none. Stable Diffusion's schedule is
``scaled_linear`` (arXiv 2112.10752); karras is arXiv 2206.00364, equation 5.
"""

from __future__ import annotations

import math

_BETAS = (0.00085, 0.012)
_TRAINED = 1000


def _sigmas() -> list[float]:
    """Noise over signal at each of the training's timesteps, rising."""
    low, high = (math.sqrt(beta) for beta in _BETAS)
    kept, found = 1.0, []
    for t in range(_TRAINED):
        kept *= 1 - (low + (high - low) * t / (_TRAINED - 1)) ** 2
        found.append(math.sqrt((1 - kept) / kept))
    return found


def sigma_at(t: float) -> float:
    """The sigma of a timestep between those of the training, by the line between their logarithms."""
    known = _sigmas()
    below = min(max(int(t), 0), _TRAINED - 2)
    share = min(max(t - below, 0), 1)
    return math.exp((1 - share) * math.log(known[below]) + share * math.log(known[below + 1]))


def step_sigmas(schedule: str, steps: int) -> list[float]:
    """Sigmas at which the steps of a schedule begin, falling; those of a few schedules are exact."""
    known = _sigmas()
    low, high = known[0], known[-1]
    ramp = [i / max(steps - 1, 1) for i in range(steps)]
    if schedule == "karras":
        first, last = high ** (1 / 7), low ** (1 / 7)
        return [(first + r * (last - first)) ** 7 for r in ramp]
    if schedule == "exponential":
        return [math.exp(math.log(high) + r * (math.log(low) - math.log(high))) for r in ramp]
    if schedule in ("simple", "sgm_uniform", "turbo"):
        return [sigma_at((_TRAINED - 1) * (1 - i / steps)) for i in range(steps)]
    return [sigma_at((_TRAINED - 1) * (1 - r)) for r in ramp]


def share_of_steps(
    start: float, end: float, schedule: str, steps: int, running: int, *, flow: bool
) -> tuple[float, float]:
    """Shares of the running steps between which something acts.

    Args:
        start: percent of the noise schedule, in [0, 1], at which it begins.
        end: percent at which it stops.
        schedule: ComfyUI's name.
        steps: of the whole schedule.
        running: of them, at its end, run.
        flow: whether noise falls linearly.
    """
    if start <= 0 and end >= 1:
        return 0.0, 1.0
    if flow:
        sigmas = [1 - i / steps for i in range(steps)]
        bounds = [1 - start, 1 - end]
    else:
        sigmas = step_sigmas(schedule, steps)
        bounds = [sigma_at((_TRAINED - 1) * (1 - percent)) for percent in (start, end)]
    if start <= 0:
        bounds[0] = math.inf
    if end >= 1:
        bounds[1] = -math.inf
    acts = [i for i, sigma in enumerate(sigmas[steps - running :]) if bounds[1] < sigma <= bounds[0]]
    if not acts:
        return 1.0, 1.0
    return round(acts[0] / running, 6), round((acts[-1] + 1) / running, 6)
