"""`denoise` as KSampler, or as KSamplerAdvanced where only some of the steps run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowsynth.comfyui.exporting.models import loaded
from flowsynth.comfyui.exporting.prompt import Given, NoCounterpartError, Out, Prompt
from flowsynth.comfyui.mapping.samplers import SAMPLERS, SCHEDULES
from flowsynth.core.canonical import Json

_PART = ("first_step", "last_step", "add_noise", "leftover_noise")
_TAKEN = {
    "num_inference_steps",
    "guidance_scale",
    "strength",
    "seed",
    "scheduler",
    "scheduler_options",
    "options",
}
_PORTS = {"model", "latents", "conditioning", "mask"}


def drawn(prompt: Prompt, node: Given, latents: Out, sides: tuple[Out, Out], mask: Out | None) -> Out:
    """Add the sampler of a `denoise`.

    Raises:
        NoCounterpartError: something that no sampler is told.
    """
    params: Mapping[str, Any] = node.params
    for name in sorted(set(params) - _TAKEN):
        raise NoCounterpartError(f"params.{name}", "no sampler is told so")
    for port in sorted(set(node.ports) - _PORTS):
        raise NoCounterpartError(f"inputs.{port}", "not exported")
    options = dict(params.get("options") or {})
    part = {name: options.pop(name) for name in _PART if name in options}
    if options.pop("noise", "independent") != "independent" or options:
        raise NoCounterpartError("params.options", f"{', '.join(options) or 'noise'}: no sampler is told so")
    seed = params.get("seed", 0)
    if not isinstance(seed, int):
        raise NoCounterpartError("params.seed", "no sampler draws one by itself", "one number")
    if mask is not None:
        latents = prompt.out("SetLatentNoiseMask", samples=latents, mask=mask)
    sampler, schedule = names(params.get("scheduler"), dict(params.get("scheduler_options") or {}))
    total = int(params.get("num_inference_steps") or 20)
    shared: dict[str, Json] = {
        "model": loaded(prompt, node.model).net,
        "positive": sides[0],
        "negative": sides[1],
        "latent_image": latents,
        "cfg": float(params.get("guidance_scale") or 7.5),
        "sampler_name": sampler,
        "scheduler": schedule,
    }
    if part:
        return _some(prompt, shared, part, total, seed)
    strength = params.get("strength")
    steps = total if strength in (None, 1, 1.0) else int(total * float(strength))
    # A little less than steps / total, so that ComfyUI's int(steps / denoise) is the total again.
    denoise = 1.0 if steps == total else round(steps / (total + 0.5), 6)
    return prompt.out("KSampler", seed=seed, steps=steps, denoise=denoise, **shared)


def _some(prompt: Prompt, shared: dict[str, Json], part: dict[str, Any], total: int, seed: int) -> Out:
    last = part.get("last_step")
    return prompt.out(
        "KSamplerAdvanced",
        add_noise="enable" if part.get("add_noise", True) else "disable",
        noise_seed=seed,
        steps=total,
        start_at_step=int(part.get("first_step") or 0),
        end_at_step=10000 if last is None else int(last),
        return_with_leftover_noise="enable" if part.get("leftover_noise") else "disable",
        **shared,
    )


def names(scheduler: str | None, options: dict[str, Any]) -> tuple[str, str]:
    """ComfyUI's sampler and schedule that stand for a scheduler and its options.

    Raises:
        NoCounterpartError: there are none.
    """
    for sampler, (name, own) in SAMPLERS.items():
        rest = {key: value for key, value in options.items() if own.get(key) != value}
        if name != scheduler or len(rest) + len(own) != len(options):
            continue
        for schedule, spacing in SCHEDULES.items():
            if rest == spacing:
                return sampler, schedule
        if not rest:
            return sampler, "normal"
    raise NoCounterpartError("params.scheduler", f"no sampler is {scheduler} with {options or 'no options'}")
