"""Samplers of Stable Diffusion 1.x and 2.x: family `sd`, whose loop follows masks, regions, single steps."""

from __future__ import annotations

from flowsynth.comfyui.mapping.architectures import Arch
from flowsynth.comfyui.mapping.asked import drawn, schedule_of, seed_of
from flowsynth.comfyui.mapping.errors import CannotMapError
from flowsynth.comfyui.mapping.latents import latents_edge
from flowsynth.comfyui.mapping.noise import share_of_steps
from flowsynth.comfyui.mapping.phrases import conditioning
from flowsynth.comfyui.mapping.samplers import guidance_of, method
from flowsynth.comfyui.mapping.site import Site
from flowsynth.comfyui.mapping.values import Asked, Edge, Net, Room, Steering, Use
from flowsynth.core.canonical import Json


def drawn_by_sd(site: Site, asked: Asked, room: Room, arch: Arch) -> Room:
    """Add text, latents and `denoise`."""
    steering = steering_of(asked)
    use = Use(arch.name, net=asked.net, controls=tuple(dict.fromkeys(each.net for each in steering)))
    params = _numbers(site, asked, room)
    params |= _control_params(asked, steering)
    params |= _windows(asked.net)
    made = site.add(
        "denoise",
        {
            "model": use,
            "latents": _start(site, room, use),
            "conditioning": conditioning(site, asked, arch),
            "control": [each.picture for each in steering],
            "mask": room.mask,
        },
        params,
    )
    return drawn(room, made, use, asked.leftover)


def steering_of(asked: Asked) -> list[Steering]:
    """The ControlNets of both prompts; here they act on both, as ComfyUI's plain node has it."""
    negative = asked.negative.steering if asked.negative is not None else ()
    return list(dict.fromkeys((*asked.positive.steering, *negative)))


def _start(site: Site, room: Room, use: Use) -> Edge:
    if room.edge or room.picture:
        return latents_edge(site, room)
    count = room.frames or room.count
    if not room.width or not room.height:
        raise CannotMapError("the latents' size is known in the run only; write numbers instead")
    params: dict[str, Json] = {
        "width": room.width, "height": room.height, "num_frames": count if count > 1 else None,
    }  # fmt: skip
    return site.add("empty_latents", {"model": use}, params, name="latents")


def _numbers(site: Site, asked: Asked, room: Room) -> dict[str, Json]:
    total, strength, _ = schedule_of(asked)
    steps = asked.steps
    if steps.sigmas:
        raise CannotMapError("sigmas: a list of a model's own; expected a schedule by name for this model")
    found = method(asked.sampler, steps.scheduler, flow=False, near=site.sketch.near)
    if found.note:
        site.note(found.note)
    options: dict[str, Json] = dict(asked.net.options)
    if room.count > 1 and asked.net.motion is None:
        options["noise"] = "independent"
    given = bool(room.edge or room.picture)
    if strength is not None and not given:
        raise CannotMapError(f"denoise {steps.denoise:g} on empty latents; expected 1")
    if steps.first or steps.last is not None or not asked.noise or room.noisy:
        options |= {"first_step": steps.first, "last_step": steps.last}
        options |= {"add_noise": asked.noise, "leftover_noise": asked.leftover}
        options = {name: value for name, value in options.items() if value is not None}
    scheduler_options = {**found.options, **dict(asked.net.scheduler)}
    if asked.net.motion is not None and asked.net.motion.beta:
        scheduler_options["beta_schedule"] = asked.net.motion.beta
    return {
        "num_inference_steps": total,
        "guidance_scale": guidance_of(asked.cfg),
        "strength": None if strength is None else round(strength, 6),
        "seed": seed_of(asked),
        "scheduler": found.scheduler,
        "scheduler_options": scheduler_options or None,
        "options": options or None,
    }


def _control_params(asked: Asked, steering: list[Steering]) -> dict[str, Json]:
    if not steering:
        return {}
    total, _, running = schedule_of(asked)
    spans = [
        share_of_steps(each.start, each.end, asked.steps.scheduler, total, running, flow=False)
        for each in steering
    ]
    columns: dict[str, list[Json]] = {
        "control_scale": [each.strength for each in steering],
        "control_start": [start for start, _ in spans],
        "control_end": [end for _, end in spans],
    }
    alone = {
        name: values[0] if len(set(map(str, values))) == 1 else values for name, values in columns.items()
    }
    defaults: dict[str, Json] = {"control_scale": 1.0, "control_start": 0.0, "control_end": 1.0}
    return {name: value for name, value in alone.items() if value != defaults[name]} | {
        "controlnets": [control_name(each.net.file.name) for each in steering]
    }


def control_name(file: str) -> str:
    """What a ControlNet is called in the model's declaration."""
    stem = file.replace("\\", "/").rpartition("/")[2].rpartition(".")[0] or file
    return "".join(c if c.isalnum() else "_" for c in stem).strip("_").lower()


def _windows(net: Net) -> dict[str, Json]:
    if net.motion is None or not net.motion.window:
        return {}
    return {"window": net.motion.window, "stride": net.motion.stride or None}
