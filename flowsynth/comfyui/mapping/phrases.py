"""Conditionings of family `sd`: one `text_encode` for two plain prompts, else what joins several."""

from __future__ import annotations

from flowsynth.comfyui.mapping.architectures import Arch
from flowsynth.comfyui.mapping.asked import schedule_of
from flowsynth.comfyui.mapping.errors import CannotMapError
from flowsynth.comfyui.mapping.noise import share_of_steps
from flowsynth.comfyui.mapping.site import Site
from flowsynth.comfyui.mapping.values import Asked, Clip, Cond, Edge, Mixed, Part, Phrase, Use, Words
from flowsynth.core.canonical import Json

#: Weights and nothing else of ComfyUI's grammar.
_SYNTAX = "comfy"


def conditioning(site: Site, asked: Asked, arch: Arch) -> Edge:
    """The node with what a sampler is told."""
    positive, negative = asked.positive, asked.negative
    plain = _plain(positive), _plain(negative) if negative is not None else Words(_clip(positive), "")
    if plain[0] is not None and plain[1] is not None and plain[0].clip == plain[1].clip:
        return _encoded(site, arch, plain[0].clip, plain[0].text, plain[1].text)
    sides = {
        "positive": _parts(site, asked, arch, positive),
        "negative": [] if negative is None else _parts(site, asked, arch, negative),
    }
    return site.add("join_conditioning", dict(sides), name="conditioning")


def _plain(cond: Cond) -> Words | None:
    """The words of a conditioning that is no more than these."""
    if len(cond.parts) != 1 or not cond.parts[0].plain:
        return None
    phrase = cond.parts[0].phrase
    return phrase if isinstance(phrase, Words) and not phrase.options else None


def _clip(cond: Cond) -> Clip:
    """The encoder of a conditioning's first words."""
    phrase = cond.parts[0].phrase
    while isinstance(phrase, Mixed):
        phrase = phrase.first
    return phrase.clip


def _encoded(site: Site, arch: Arch, clip: Clip, prompt: str, negative: str) -> Edge:
    options: dict[str, Json] = {"syntax": _SYNTAX}
    if clip.skip is not None:
        options["clip_skip"] = clip.skip if arch.name == "sd1" else max(clip.skip - 1, 0)
    params: dict[str, Json] = {"prompt": prompt, "negative_prompt": negative or None, "options": options}
    return site.add("text_encode", {"model": Use(arch.name, clip=clip)}, params, name="text")


def _parts(site: Site, asked: Asked, arch: Arch, cond: Cond) -> list[Edge]:
    """Edges of the parts that act at some step."""
    made = [edge for part in cond.parts if (edge := _part(site, asked, arch, part))]
    if not made:
        raise CannotMapError("no prompt acts at any of the steps that run")
    return made


def _part(site: Site, asked: Asked, arch: Arch, part: Part) -> Edge:
    """A part's edge; empty where it acts at no step."""
    total, _, running = schedule_of(asked)
    start, end = share_of_steps(part.start, part.end, asked.steps.scheduler, total, running, flow=False)
    if start >= end:
        site.note(f"a prompt for {part.start:g} to {part.end:g} of the noise acts at none of {running} steps")
        return ""
    edge = _phrase(site, arch, part.phrase)
    if part.plain:
        return edge
    params: dict[str, Json] = {"strength": part.strength if part.strength != 1 else None}
    params |= {"start": start or None, "end": end if end != 1 else None}
    if part.box is not None:
        names = ("left", "top", "width", "height")
        numbers = part.box if part.shares else [int(each) for each in part.box]
        params |= {**dict(zip(names, numbers, strict=True)), "unit": "shares" if part.shares else "pixels"}
    return site.add("place_conditioning", {"conditioning": edge, "mask": part.mask}, params, name="place")


def _phrase(site: Site, arch: Arch, phrase: Phrase) -> Edge:
    if isinstance(phrase, Words):
        if phrase.options:
            raise CannotMapError("a text node of SDXL's on Stable Diffusion 1.x; expected CLIPTextEncode")
        return _encoded(site, arch, phrase.clip, phrase.text, "")
    one = _phrase(site, arch, phrase.first)
    other = "" if phrase.second is None else _phrase(site, arch, phrase.second)
    params: dict[str, Json] = {"mode": phrase.how, "share": phrase.share if phrase.how == "average" else None}
    return site.add("mix_conditioning", {"conditioning": one, "other": other}, params, name="mix")
