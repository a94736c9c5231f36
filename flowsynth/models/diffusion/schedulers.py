"""Schedulers by name: what each name stands for, and a fresh object for every call.

The names follow k-diffusion's; diffusers' own class names are taken too. A scheduler object remembers its
step, so it is never shared between two runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowsynth.core.errors import RequestError, did_you_mean, listing

#: name -> (diffusers class, config overrides that the name implies).
SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {}),
    "ddpm": ("DDPMScheduler", {}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),
    "lms": ("LMSDiscreteScheduler", {}),
    "lms_karras": ("LMSDiscreteScheduler", {"use_karras_sigmas": True}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_karras": ("EulerDiscreteScheduler", {"use_karras_sigmas": True}),
    "euler_a": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "heun_karras": ("HeunDiscreteScheduler", {"use_karras_sigmas": True}),
    "dpm2": ("KDPM2DiscreteScheduler", {}),
    "dpm2_karras": ("KDPM2DiscreteScheduler", {"use_karras_sigmas": True}),
    "dpm2_a": ("KDPM2AncestralDiscreteScheduler", {}),
    "dpm2_a_karras": ("KDPM2AncestralDiscreteScheduler", {"use_karras_sigmas": True}),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {}),
    "dpmpp_2m_karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    "dpmpp_2m_sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "dpmpp_2m_sde_karras": (
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": True},
    ),
    "dpmpp_2s": ("DPMSolverSinglestepScheduler", {}),
    "dpmpp_2s_karras": ("DPMSolverSinglestepScheduler", {"use_karras_sigmas": True}),
    "dpmpp_sde": ("DPMSolverSDEScheduler", {}),
    "dpmpp_sde_karras": ("DPMSolverSDEScheduler", {"use_karras_sigmas": True}),
    "deis": ("DEISMultistepScheduler", {}),
    "deis_karras": ("DEISMultistepScheduler", {"use_karras_sigmas": True}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "unipc_karras": ("UniPCMultistepScheduler", {"use_karras_sigmas": True}),
    "sa_solver": ("SASolverScheduler", {}),
    "ipndm": ("IPNDMScheduler", {}),
    "lcm": ("LCMScheduler", {}),
    "tcd": ("TCDScheduler", {}),
}

ALIASES = {
    "kdpm2": "dpm2",
    "kdpm2_a": "dpm2_a",
    "plms": "pndm",
    "euler_ancestral": "euler_a",
    "dpmpp": "dpmpp_2m",
    "dpmsolver": "dpmpp_2m",
}


class UnknownSchedulerError(RequestError):
    """A scheduler's name or one of its options is not known; the message names the nearest one."""


def scheduler_names() -> list[str]:
    """All names, aliases included."""
    return sorted({*SCHEDULERS, *ALIASES, *(cls for cls, _ in SCHEDULERS.values())})


def resolve_scheduler(name: str) -> tuple[str, dict[str, Any]]:
    """The diffusers class and config overrides that a name stands for.

    Raises:
        UnknownSchedulerError: no such scheduler.
    """
    name = ALIASES.get(name, name)
    if name in SCHEDULERS:
        return SCHEDULERS[name]
    for class_name, overrides in SCHEDULERS.values():
        if name == class_name and not overrides:
            return class_name, {}
    if name == "PNDMScheduler":
        return name, {}
    names = sorted({*SCHEDULERS, *ALIASES})
    raise UnknownSchedulerError(
        f"unknown scheduler {name!r}; expected one of {listing(names, 40)}{did_you_mean(name, names)}"
    )


def _check_options(cls: Any, options: Mapping[str, Any]) -> None:
    known = sorted(cls._get_init_keys(cls))
    for option in options:
        if option not in known:
            raise UnknownSchedulerError(
                f"{cls.__name__} has no option {option!r}; expected one of {listing(known, 30)}"
                f"{did_you_mean(option, known)}"
            )


def takes_schedulers(class_name: str) -> bool:
    """Whether a model whose own scheduler is of this class can take another one by name."""
    return any(class_name == known for known, _ in SCHEDULERS.values()) or class_name == "PNDMScheduler"


def with_options(scheduler: Any, options: Mapping[str, Any]) -> Any:
    """A scheduler of the same class and configuration, save for some options.

    Raises:
        UnknownSchedulerError: an option that the class does not have.
    """
    cls = type(scheduler)
    _check_options(cls, options)
    return cls.from_config(dict(scheduler.config), **options)


def make_scheduler(
    name: str | None, base: Mapping[str, Any], overrides: Mapping[str, Any] | None = None
) -> Any:
    """A fresh scheduler: the model's own config, then what the name implies, then the caller's overrides.

    Args:
        name: a key of :data:`SCHEDULERS`, an alias, a diffusers class name, or None for the class that the
            model's config names.
        base: the model's ``scheduler_config.json``.
        overrides: options of the diffusers class, such as ``beta_schedule`` or ``timestep_spacing``.

    Raises:
        UnknownSchedulerError: an unknown name or option, or the scheduler needs a package that is not
            installed (``dpmpp_sde``: torchsde).
    """
    import diffusers
    from diffusers.schedulers.scheduling_utils import SchedulerMixin

    class_name, implied = resolve_scheduler(name or str(base.get("_class_name", "DDIMScheduler")))
    cls = getattr(diffusers, class_name)
    if not issubclass(cls, SchedulerMixin):
        raise UnknownSchedulerError(
            f"scheduler {name!r} ({class_name}) needs the package 'torchsde': pip install torchsde"
            " (dpmpp_2m_sde is a close relative that needs nothing more)"
        )
    _check_options(cls, {**implied, **(overrides or {})})
    return cls.from_config(dict(base), **implied, **(overrides or {}))
