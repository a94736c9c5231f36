"""Samplers of all other models: a pipeline of diffusers, whose class follows from what a sampler is given."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from flowsynth.comfyui.mapping.architectures import Arch, is_editing
from flowsynth.comfyui.mapping.asked import drawn, schedule_of, seed_of
from flowsynth.comfyui.mapping.errors import CannotMapError
from flowsynth.comfyui.mapping.noise import share_of_steps
from flowsynth.comfyui.mapping.samplers import guidance_of, method
from flowsynth.comfyui.mapping.site import Site
from flowsynth.comfyui.mapping.values import Asked, Cond, Edge, Mixed, Phrase, Room, Steering, Use, Words
from flowsynth.core.canonical import Json

_WEIGHT = re.compile(r"\(([^()]*?)(?::\s*[\d.]+)?\)")


@dataclass(frozen=True)
class Call:
    """A pipeline's call in the making.

    Attributes:
        use: the model.
        inputs: edges by port.
        strength: whether the class takes one.
    """

    use: Use
    inputs: dict[str, Edge | list[Edge] | Use]
    strength: bool


def drawn_by_pipeline(site: Site, asked: Asked, room: Room, arch: Arch) -> Room:
    """Add text, latents and `denoise`."""
    if asked.leftover and arch.name == "wan22":
        return replace(room, held=asked)
    positive = _words(asked.positive)
    negative = _negative(asked, arch)
    call = _call(asked, room, arch, positive)
    use = call.use
    params = {
        **_numbers(site, asked, arch, call),
        "options": _options(asked, room, arch, positive, negative) or None,
    }
    inputs = dict(call.inputs)
    if arch.name != "svd":
        inputs["conditioning"] = _text(site, use, positive, negative, room)
    inputs["latents"] = _latents(site, room, call, inputs)
    params |= _control_params(asked, arch)
    made = site.add("denoise", {"model": use, **inputs}, params)
    return drawn(room, made, use, asked.leftover)


def _words(cond: Cond) -> Words:
    """The one prompt of a conditioning.

    Raises:
        CannotMapError: there are several, or only for a part.
    """
    if len(cond.parts) != 1 or not cond.parts[0].plain:
        raise CannotMapError(
            "several prompts, or one for a part of the picture or of the steps; family diffusers takes one"
            " prompt for all (Stable Diffusion 1.x and 2.x take several)"
        )
    phrase: Phrase = cond.parts[0].phrase
    if isinstance(phrase, Mixed):
        raise CannotMapError(f"mixed prompts ({phrase.how}); family diffusers takes one prompt as it is")
    return phrase


def _negative(asked: Asked, arch: Arch) -> Words | None:
    """The negative prompt; None where nothing is guided away from, or zeros are."""
    cond = asked.negative
    if cond is None or (asked.cfg == 1 and not arch.name.startswith("svd")) or arch.name == "svd":
        return None
    phrase = cond.parts[0].phrase if len(cond.parts) == 1 and cond.parts[0].plain else None
    if isinstance(phrase, Mixed) and phrase.how == "zero" and arch.name == "sdxl":
        return None  # its pipeline takes zeros where there is no negative prompt
    return _words(cond)


def _call(asked: Asked, room: Room, arch: Arch, positive: Words) -> Call:
    """Which class, and the pictures that it is given."""
    inputs: dict[str, Edge | list[Edge] | Use] = {}
    steering = asked.positive.steering
    name = _kind(asked, room, arch, steering)
    for port, edge in (*asked.positive.pictures, *room.pictures):
        if inputs.get(port, edge) != edge:
            raise CannotMapError(f"several pictures for {port}; expected one")
        inputs[port] = edge
    if room.picture and name != "text":
        inputs["image"] = room.picture
    if room.mask:
        inputs["mask"] = room.mask
    if steering:
        inputs["control"] = [each.picture for each in steering]
    if asked.net.prompting:
        inputs["image_prompt"] = [each.picture for each in asked.net.prompting]
    if name not in arch.pipelines:
        raise CannotMapError(f"{_NEEDS.get(name, name)} is not there for this kind of model ({arch.name})")
    use = Use(
        arch.name, net=asked.net, clip=positive.clip, controls=tuple(each.net for each in steering),
        pipeline=arch.pipelines[name], second=None if room.held is None else asked.net,
    )  # fmt: skip
    if room.held is not None:
        use = replace(use, net=room.held.net)
    return Call(
        use, inputs, name in ("image", "inpaint", "control_image") and not arch.clips and arch.name != "fill"
    )


_NEEDS = {
    "image": "starting from a picture or from latents",
    "inpaint": "a mask",
    "control": "a ControlNet",
    "control_image": "a ControlNet with a picture to start from",
    "text": "starting without a picture",
    "edit": "editing",
    "vace": "a clip to follow",
}


def _kind(asked: Asked, room: Room, arch: Arch, steering: tuple[Steering, ...]) -> str:
    """What is given, as :attr:`Arch.pipelines` names it."""
    if is_editing(asked.net.file.name) and room.whole:
        return "edit"
    if room.mask:
        if room.edge and not room.picture:
            raise CannotMapError("a mask on latents of another sampler; expected those of a picture")
        return "inpaint"
    if steering:
        return "control_image" if room.picture or room.edge else "control"
    if room.edge or room.picture:
        return "image"
    if any(port in ("video", "reference") for port, _ in room.pictures):
        return "vace"
    if arch.clips and any(port == "image" for port, _ in (*room.pictures, *asked.positive.pictures)):
        return "image"
    return "text"


def _latents(site: Site, room: Room, call: Call, inputs: dict[str, Edge | list[Edge] | Use]) -> Edge:
    if room.edge:
        return room.edge
    params: dict[str, Json] = {"num_frames": room.frames or (room.count if room.count > 1 else None)}
    like = inputs.get("image")
    if room.width and room.height:
        params |= {"width": room.width, "height": room.height}
        like = None
    if not isinstance(like, str) and not room.width:
        raise CannotMapError("the latents' size is known in the run only; write numbers instead")
    ports: dict[str, Edge | list[Edge] | Use] = {"model": call.use, "like": like or ""}
    return site.add("empty_latents", ports, params, name="latents")


def _text(site: Site, use: Use, positive: Words, negative: Words | None, room: Room) -> Edge:
    options: dict[str, Json] = {name: _unweighed(site, value) for name, value in positive.options}
    if negative is not None and negative.text:
        options |= {f"negative_{name}": _unweighed(site, value) for name, value in negative.options}
    prompt: Json = _unweighed(site, positive.text)
    if room.count > 1 and not room.frames:
        prompt = dict.fromkeys(map(str, range(room.count)), prompt)
    if positive.clip.skip:
        options["clip_skip"] = positive.clip.skip
    params: dict[str, Json] = {
        "prompt": prompt,
        "negative_prompt": _unweighed(site, negative.text)
        if negative is not None and negative.text
        else None,
        "options": options or None,
    }
    return site.add("text_encode", {"model": use}, params, name="text")


def _unweighed(site: Site, text: Json) -> Json:
    """A prompt without weights, which this family does not read."""
    if not isinstance(text, str):
        return text
    plain = text
    while re.search(r"\([^()]*:\s*[\d.]+\)", plain):
        plain = _WEIGHT.sub(r"\1", plain)
    if plain != text:
        site.note("weights of words are left out: this model's family reads prompts as they stand")
    return plain


def _numbers(site: Site, asked: Asked, arch: Arch, call: Call) -> dict[str, Json]:
    total, strength, _ = schedule_of(asked)
    steps = asked.steps
    found = method(
        asked.sampler, steps.scheduler, flow=arch.flow or bool(steps.sigmas), near=site.sketch.near
    )
    if arch.name in ("svd", "cosmos", "cosmos2"):
        found = replace(found, scheduler=None, options={})  # EDM's own schedule, which karras is
    if found.note:
        site.note(found.note)
    if steps.sigmas:
        site.note("sigmas of the workflow are left out: as many steps of the model's own schedule run")
    scheduler_options = {**found.options, **dict(asked.net.scheduler)}
    numbers: dict[str, Json] = {"num_inference_steps": total, "seed": seed_of(asked)}
    if arch.name != "svd":
        numbers["guidance_scale"] = _guidance(asked, arch)
    if call.strength and not _split(asked):
        numbers["strength"] = 1.0 if strength is None else round(strength, 6)
    return {**numbers, "scheduler": found.scheduler, "scheduler_options": scheduler_options or None}


def _guidance(asked: Asked, arch: Arch) -> float | None:
    if arch.distilled is not None:
        return arch.distilled if asked.positive.guidance is None else asked.positive.guidance
    if arch.guidance:
        return None
    return guidance_of(1.0 if asked.negative is None else asked.cfg)


def _split(asked: Asked) -> bool:
    return bool(asked.steps.first) or asked.steps.last is not None


def _options(
    asked: Asked, room: Room, arch: Arch, positive: Words, negative: Words | None
) -> dict[str, Json]:
    """The class's own arguments."""
    found: dict[str, Json] = {**dict(asked.net.options), **dict(asked.positive.options)}
    found |= dict(positive.told)
    for name, value in negative.told if negative is not None else ():
        if dict(positive.told).get(name) != value:
            found[f"negative_{name}"] = value
    if arch.guidance and asked.negative is not None and asked.cfg > 1:
        found[arch.guidance] = asked.cfg
    if arch.name == "svd":
        found["max_guidance_scale"] = asked.cfg
    return found | _parts_of_steps(asked, room, arch)


def _parts_of_steps(asked: Asked, room: Room, arch: Arch) -> dict[str, Json]:
    """Some of the steps, as SDXL's base and refiner share them."""
    steps, found = asked.steps, {}
    if not _split(asked):
        return {}
    if room.held is not None:
        return {} if room.held.cfg == asked.cfg else {"guidance_scale_2": asked.cfg}
    if arch.name not in ("sdxl", "refiner"):
        raise CannotMapError(f"some of the steps; family diffusers runs all of them with {arch.name}")
    if steps.first and not (room.edge or room.picture):
        raise CannotMapError("start_at_step: expected 0 with empty latents")
    if steps.first:
        found["denoising_start"] = round(steps.first / steps.steps, 6)
    if steps.last is not None and asked.leftover:
        found["denoising_end"] = round(steps.last / steps.steps, 6)
    return dict[str, Json](found)


def _control_params(asked: Asked, arch: Arch) -> dict[str, Json]:
    steering = asked.positive.steering
    if not steering:
        return {}
    if len(steering) > 1:
        raise CannotMapError(f"{len(steering)} ControlNets; family diffusers takes one")
    total, _, running = schedule_of(asked)
    each = steering[0]
    span = share_of_steps(each.start, each.end, asked.steps.scheduler, total, running, flow=arch.flow)
    return {
        "control_scale": each.strength if each.strength != 1 else None,
        "control_start": span[0] or None,
        "control_end": span[1] if span[1] != 1 else None,
    }
