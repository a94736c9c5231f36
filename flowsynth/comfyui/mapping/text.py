"""Prompts, and what is done to them before a sampler sees them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from flowsynth.comfyui.mapping.errors import CannotMapError
from flowsynth.comfyui.mapping.site import Site
from flowsynth.comfyui.mapping.table import Mapper, Outputs, Table, node
from flowsynth.comfyui.mapping.values import (
    Area,
    Clip,
    Cond,
    Mixed,
    Part,
    Phrase,
    Picture,
    Room,
    Vision,
    Words,
)
from flowsynth.core.canonical import Json


def said(words: Phrase) -> Cond:
    """A conditioning of one phrase for the whole picture."""
    return Cond((Part(words),))


def encode(site: Site) -> Outputs:
    """A prompt."""
    return (said(Words(site.need("clip", Clip), site.text("text"))),)


def encode_sdxl(site: Site) -> Outputs:
    """A prompt for each of SDXL's encoders, and the sizes that it was trained to be told."""
    large, small = site.text("text_g"), site.text("text_l")
    told: tuple[tuple[str, Json], ...] = (
        ("original_size", [site.whole("height", 1024), site.whole("width", 1024)]),
        ("crops_coords_top_left", [site.whole("crop_h"), site.whole("crop_w")]),
        ("target_size", [site.whole("target_height", 1024), site.whole("target_width", 1024)]),
    )
    second = (("prompt_2", large),) if large != small else ()
    return (said(Words(site.need("clip", Clip), small or large, second if small else (), told)),)


def encode_refiner(site: Site) -> Outputs:
    """A prompt for SDXL's refiner, and the score that it is told."""
    told: tuple[tuple[str, Json], ...] = (
        ("aesthetic_score", site.number("ascore", 6)),
        ("original_size", [site.whole("height", 1024), site.whole("width", 1024)]),
    )
    return (said(Words(site.need("clip", Clip), site.text("text"), (), told)),)


def encode_several(*ports: str) -> Mapper:
    """A prompt for each of several encoders; the first is ``prompt``."""

    def run(site: Site) -> Outputs:
        texts = [site.text(port) for port in ports]
        options = tuple((f"prompt_{k + 2}", text) for k, text in enumerate(texts[1:]) if text != texts[0])
        made = said(Words(site.need("clip", Clip), texts[0], options))
        guidance = site.value("guidance")
        return (replace(made, guidance=float(guidance)) if isinstance(guidance, (int, float)) else made,)

    return run


def encode_edit(site: Site) -> Outputs:
    """A prompt about pictures (Qwen-Image-Edit)."""
    made = said(Words(site.need("clip", Clip), site.text("prompt")))
    ports = ("image", "image1", "image2", "image3")
    pictures = [found for port in ports if (found := site.maybe(port, Picture)) is not None]
    return (replace(made, pictures=tuple(("image", each.edge) for each in pictures)),)


def combine(site: Site) -> Outputs:
    """Both, beside each other."""
    one, two = site.need("conditioning_1", Cond), site.need("conditioning_2", Cond)
    return (
        replace(
            one,
            parts=(*one.parts, *two.parts),
            steering=tuple(dict.fromkeys((*one.steering, *two.steering))),
            pictures=tuple(dict.fromkeys((*one.pictures, *two.pictures))),
            options=tuple(dict.fromkeys((*one.options, *two.options))),
        ),
    )


def concat(site: Site) -> Outputs:
    """The tokens of one after those of the other."""
    to, other = site.need("conditioning_to", Cond), _one(site, "conditioning_from")
    return (_each(to, lambda phrase: Mixed("concat", phrase, other)),)


def average(site: Site) -> Outputs:
    """States between those of two prompts."""
    to, other = site.need("conditioning_to", Cond), _one(site, "conditioning_from")
    share = site.number("conditioning_to_strength", 1)
    return (_each(to, lambda phrase: Mixed("average", phrase, other, share)),)


def zero(site: Site) -> Outputs:
    """States of zeros."""
    return (_each(site.need("conditioning", Cond), lambda phrase: Mixed("zero", phrase)),)


def _each(cond: Cond, change: Callable[[Phrase], Phrase]) -> Cond:
    return replace(cond, parts=tuple(replace(part, phrase=change(part.phrase)) for part in cond.parts))


def _one(site: Site, port: str) -> Phrase:
    found = site.need(port, Cond)
    if len(found.parts) != 1:
        site.note(f"of {port} only the first of {len(found.parts)} parts is taken, as ComfyUI does")
    return found.parts[0].phrase


def area(*, shares: bool) -> Mapper:
    """A part of the picture, by its box."""

    def run(site: Site) -> Outputs:
        cond = site.need("conditioning", Cond)
        box = tuple(site.number(port) for port in ("x", "y", "width", "height"))
        strength = site.number("strength", 1)
        parts = [
            replace(part, box=(box[0], box[1], box[2], box[3]), shares=shares, strength=strength)
            for part in cond.parts
        ]
        return (replace(cond, parts=tuple(parts)),)

    return run


def area_strength(site: Site) -> Outputs:
    """The weight of a part."""
    cond, strength = site.need("conditioning", Cond), site.number("strength", 1)
    return (replace(cond, parts=tuple(replace(part, strength=strength) for part in cond.parts)),)


def masked(site: Site) -> Outputs:
    """A part of the picture, by a mask."""
    cond, mask = site.need("conditioning", Cond), site.need("mask", Area)
    if site.text("set_cond_area", "default") != "default":
        raise CannotMapError("set_cond_area: expected default (the mask alone), given mask bounds")
    strength = site.number("strength", 1)
    return (replace(cond, parts=tuple(replace(p, mask=mask.edge, strength=strength) for p in cond.parts)),)


def ranged(site: Site) -> Outputs:
    """Some of the steps."""
    cond = site.need("conditioning", Cond)
    start, end = site.number("start", 0), site.number("end", 1)
    return (replace(cond, parts=tuple(replace(part, start=start, end=end) for part in cond.parts)),)


def guided(site: Site) -> Outputs:
    """The scale that a distilled model is told."""
    return (replace(site.need("conditioning", Cond), guidance=site.number("guidance", 3.5)),)


def unclip(site: Site) -> Outputs:
    """A picture that is drawn anew (unCLIP)."""
    cond, seen = site.need("conditioning", Cond), site.need("clip_vision_output", Vision)
    if cond.pictures:
        raise CannotMapError("two pictures in one conditioning; expected one for StableUnCLIP")
    if site.number("strength", 1) != 1:
        site.note("strength is left out: the pipeline takes the picture as it is")
    level: tuple[tuple[str, Json], ...] = (("noise_level", round(site.number("noise_augmentation") * 999)),)
    return (replace(cond, pictures=(("image", seen.picture),), options=(*cond.options, *level)),)


def reference(site: Site) -> Outputs:
    """A picture to edit or to go by (Flux Kontext, Qwen-Image-Edit)."""
    cond, room = site.need("conditioning", Cond), site.maybe("latent", Room)
    if room is None:
        return (cond,)
    if not room.picture:
        raise CannotMapError("latent: expected that of a picture (VAEEncode)")
    pictures = tuple(dict.fromkeys((*cond.pictures, ("image", room.picture))))
    return (replace(cond, pictures=pictures),)


def see(site: Site) -> Outputs:
    """What an encoder of pictures makes of one; the pipeline does so itself."""
    seen = site.need("clip_vision", Vision)
    return (replace(seen, picture=site.need("image", Picture).edge),)


TABLE: Table = {
    "CLIPTextEncode": node(encode, "text"),
    "CLIPTextEncodeSDXL": node(
        encode_sdxl, "width height crop_w crop_h target_width target_height text_g text_l"
    ),
    "CLIPTextEncodeSDXLRefiner": node(encode_refiner, "ascore width height text"),
    "CLIPTextEncodeFlux": node(encode_several("clip_l", "t5xxl"), "clip_l t5xxl guidance"),
    "CLIPTextEncodeSD3": node(
        encode_several("clip_l", "clip_g", "t5xxl"), "clip_l clip_g t5xxl empty_padding"
    ),
    "CLIPTextEncodeHunyuanDiT": node(encode_several("bert"), "bert mt5xl"),
    "TextEncodeQwenImageEdit": node(encode_edit, "prompt"),
    "TextEncodeQwenImageEditPlus": node(encode_edit, "prompt"),
    "ConditioningCombine": node(combine),
    "ConditioningConcat": node(concat),
    "ConditioningAverage": node(average, "conditioning_to_strength"),
    "ConditioningAverage ": node(average, "conditioning_to_strength"),
    "ConditioningZeroOut": node(zero),
    "ConditioningSetArea": node(area(shares=False), "width height x y strength"),
    "ConditioningSetAreaPercentage": node(area(shares=True), "width height x y strength"),
    "ConditioningSetAreaStrength": node(area_strength, "strength"),
    "ConditioningSetMask": node(masked, "strength set_cond_area"),
    "ConditioningSetTimestepRange": node(ranged, "start end"),
    "FluxGuidance": node(guided, "guidance"),
    "unCLIPConditioning": node(unclip, "strength noise_augmentation"),
    "ReferenceLatent": node(reference),
    "CLIPVisionEncode": node(see, "crop"),
}
