"""ComfyUI's samplers and schedules: diffusers' classes, and how their timesteps lie."""

from __future__ import annotations

import math
from dataclasses import dataclass

from flowsynth.comfyui.mapping.errors import CannotMapError
from flowsynth.core.canonical import Json
from flowsynth.core.errors import hint, listing, nearest


@dataclass(frozen=True)
class Method:
    """What a sampler and a schedule are here.

    Attributes:
        scheduler: name; None is the model's own.
        options: of its class.
        note: what was put in the place of something else, if anything.
    """

    scheduler: str | None
    options: dict[str, Json]
    note: str = ""


#: Sampler -> scheduler and options.
SAMPLERS: dict[str, tuple[str, dict[str, Json]]] = {
    "euler": ("euler", {}),
    "euler_ancestral": ("euler_a", {}),
    "heun": ("heun", {}),
    "dpm_2": ("dpm2", {}),
    "dpm_2_ancestral": ("dpm2_a", {}),
    "lms": ("lms", {}),
    "dpmpp_2m": ("dpmpp_2m", {}),
    "dpmpp_2m_sde": ("dpmpp_2m_sde", {}),
    "dpmpp_2m_sde_gpu": ("dpmpp_2m_sde", {}),
    "dpmpp_3m_sde": ("dpmpp_2m_sde", {"solver_order": 3}),
    "dpmpp_3m_sde_gpu": ("dpmpp_2m_sde", {"solver_order": 3}),
    "dpmpp_sde": ("dpmpp_sde", {}),
    "dpmpp_sde_gpu": ("dpmpp_sde", {}),
    "ddpm": ("ddpm", {}),
    "lcm": ("lcm", {}),
    "ipndm": ("ipndm", {}),
    "deis": ("deis", {}),
    "ddim": ("ddim", {}),
    "uni_pc": ("unipc", {"solver_type": "bh1"}),
    "uni_pc_bh2": ("unipc", {"solver_type": "bh2"}),
}
#: What comes nearest to samplers that diffusers lacks.
_NEAR_SAMPLERS = {
    "dpmpp_2s_ancestral": "dpm_2_ancestral",
    "res_multistep": "dpmpp_2m",
    "res_multistep_ancestral": "euler_ancestral",
    "heunpp2": "heun",
    "dpm_fast": "dpmpp_2m",
    "dpm_adaptive": "dpmpp_2m",
    "euler_cfg_pp": "euler",
    "euler_ancestral_cfg_pp": "euler_ancestral",
    "gradient_estimation": "euler",
    "er_sde": "dpmpp_2m_sde",
    "seeds_2": "dpmpp_2m_sde",
    "ipndm_v": "ipndm",
}
#: Schedule -> options of the scheduler's class.
SCHEDULES: dict[str, dict[str, Json]] = {
    "normal": {"timestep_spacing": "linspace"},
    "simple": {"timestep_spacing": "trailing"},
    "sgm_uniform": {"timestep_spacing": "trailing"},
    "ddim_uniform": {"timestep_spacing": "leading"},
    "turbo": {"timestep_spacing": "trailing"},
    "karras": {"use_karras_sigmas": True},
    "exponential": {"use_exponential_sigmas": True},
    "beta": {"use_beta_sigmas": True},
}
_NEAR_SCHEDULES = {"linear_quadratic": "simple", "kl_optimal": "karras", "": "normal"}
#: Schedulers whose classes follow no other sigmas than their timesteps'.
_TIMESTEPS_ONLY = ("ddim", "ddpm", "euler_a", "lcm", "ipndm")
#: Those that have no choice of how their timesteps lie.
_OWN_STEPS = ("lcm", "ipndm")
#: Schedules that flow-matching models follow anyway: their own shift is what moves them.
_FLOW = ("normal", "simple", "sgm_uniform", "ddim_uniform", "linear_quadratic", "")


def method(sampler: str, schedule: str, *, flow: bool, near: bool) -> Method:
    """What stands for a sampler and a schedule.

    Args:
        sampler: ComfyUI's name.
        schedule: likewise; empty where the workflow lists sigmas of a model's own.
        flow: whether the model matches flows, which diffusers' own scheduler of the model does.
        near: take what comes nearest where nothing is equal.

    Raises:
        CannotMapError: nothing is equal; the text names what comes nearest.
    """
    return _flow_method(sampler, schedule, near) if flow else _noise_method(sampler, schedule, near)


def _flow_method(sampler: str, schedule: str, near: bool) -> Method:
    note = ""
    if sampler not in ("euler", "ddim", "uni_pc"):
        note = _near("sampler", sampler, "euler", [*SAMPLERS], near)
    if schedule in _FLOW:
        return Method(None, {}, note)
    if schedule not in SCHEDULES:
        note = _near("scheduler", schedule, "simple", [*SCHEDULES], near)
        return Method(None, {}, note)
    return Method(None, dict(SCHEDULES[schedule]), note)


def _noise_method(sampler: str, schedule: str, near: bool) -> Method:
    notes = []
    if sampler not in SAMPLERS:
        instead = _NEAR_SAMPLERS.get(sampler, nearest(sampler, SAMPLERS))
        notes.append(_near("sampler", sampler, instead, [*SAMPLERS], near))
        sampler = instead
    if schedule not in SCHEDULES:
        instead = _NEAR_SCHEDULES.get(schedule, nearest(schedule, SCHEDULES))
        notes.append(_near("scheduler", schedule, instead, [*SCHEDULES], near))
        schedule = instead
    name, options = SAMPLERS[sampler]
    spacing = SCHEDULES[schedule]
    if name in _OWN_STEPS:
        spacing = {}
    elif name in _TIMESTEPS_ONLY and "timestep_spacing" not in spacing:
        what = f"{sampler} with {schedule}"
        notes.append(_near("scheduler", what, f"{sampler} with normal", [], near))
        spacing = SCHEDULES["normal"]
    return Method(name, {**options, **spacing}, "; ".join(filter(None, notes)))


def _near(what: str, name: str, instead: str, known: list[str], near: bool) -> str:
    """What is said where something else is taken.

    Raises:
        CannotMapError: where nothing else may be.
    """
    if near and instead:
        return f"{instead} stands for the {what} {name}, which diffusers does not have"
    expected = f"; expected one of {listing(known, 40)}" if known else ""
    raise CannotMapError(
        f"{what} {name!r} has no equal in diffusers{expected}{hint(instead)} (--nearest takes it)"
    )


def strength_of(steps: int, denoise: float) -> tuple[int, float | None]:
    """Steps and strength for ComfyUI's `denoise`: of ``int(steps / denoise)`` steps the last `steps` run.

    Args:
        steps: that run.
        denoise: share of the noise, in (0, 1].

    Returns:
        Steps of the schedule, and the strength under which diffusers' ``int(steps * strength)`` gives as many
        as are to run; None where all do.
    """
    if denoise >= 0.9999:
        return steps, None
    total = max(int(steps / denoise), 1)
    return total, None if total <= steps else (steps + 0.5) / total


def guidance_of(cfg: float) -> float:
    """A scale as this engine takes it: 1 is off."""
    if not math.isfinite(cfg) or cfg < 0:
        raise CannotMapError(f"cfg: expected a number from 0 on, given {cfg}")
    return cfg
