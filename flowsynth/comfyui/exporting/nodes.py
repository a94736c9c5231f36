"""Operators as nodes of ComfyUI's: one small function each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from flowsynth.comfyui.exporting.models import loaded
from flowsynth.comfyui.exporting.prompt import Given, NoCounterpartError, Out, Prompt
from flowsynth.comfyui.exporting.sampling import drawn

#: Filters of pictures and of latents, by `resize`'s names.
_FILTERS = {
    "nearest": "nearest-exact",
    "bilinear": "bilinear",
    "area": "area",
    "bicubic": "bicubic",
    "lanczos": "lanczos",
    "slerp": "bislerp",
}


def text(prompt: Prompt, node: Given) -> dict[str, Out]:
    """Two prompts; weights in ComfyUI's grammar, or none."""
    node.only("prompt", "negative_prompt", "options")
    options = dict(node.params.get("options") or {})
    prompts = [node.params.get(name) or "" for name in ("prompt", "negative_prompt")]
    plain = all(isinstance(each, str) and not set(each) & set("()[]") for each in prompts)
    family = prompt.models[node.model].get("family")
    if family == "sd" and options.pop("syntax", "weights") != "comfy" and not plain:
        raise NoCounterpartError("params.options.syntax", "weights of another grammar", "comfy")
    clip = loaded(prompt, node.model).clip
    if (skip := options.pop("clip_skip", None)) is not None:
        clip = prompt.out("CLIPSetLastLayer", clip=clip, stop_at_clip_layer=-int(skip) - 1)
    if options or not all(isinstance(each, str) for each in prompts):
        raise NoCounterpartError("params", f"{', '.join(options) or 'a travelling prompt'}: not exported")
    one, two = (prompt.out("CLIPTextEncode", clip=clip, text=each) for each in prompts)
    return {"": one, "negative": two}


def mixed(prompt: Prompt, node: Given) -> dict[str, Out]:
    """States that are mixed."""
    mode, one = node.params.get("mode", "average"), node.one("conditioning")
    if mode == "zero":
        return {"": prompt.out("ConditioningZeroOut", conditioning=one)}
    given = {"conditioning_to": one, "conditioning_from": node.one("other")}
    if mode == "concat":
        return {"": prompt.out("ConditioningConcat", **given)}
    share = float(node.params.get("share", 0.5))
    return {"": prompt.out("ConditioningAverage", conditioning_to_strength=share, **given)}


def placed(prompt: Prompt, node: Given) -> dict[str, Out]:
    """A prompt for a part of the picture."""
    node.only("left", "top", "width", "height", "unit", "strength")
    strength, cond = float(node.params.get("strength", 1)), node.one("conditioning")
    if "left" in node.params:
        box = {name: node.params[key] for name, key in (("x", "left"), ("y", "top"))}
        box |= {name: node.params[name] for name in ("width", "height")}
        shares = node.params.get("unit") == "shares"
        kind = "ConditioningSetAreaPercentage" if shares else "ConditioningSetArea"
        return {"": prompt.out(kind, conditioning=cond, strength=strength, **box)}
    if "mask" in node.ports:
        mask = node.one("mask")
        more = {"strength": strength, "set_cond_area": "default"}
        return {"": prompt.out("ConditioningSetMask", conditioning=cond, mask=mask, **more)}
    return {"": prompt.out("ConditioningSetAreaStrength", conditioning=cond, strength=strength)}


def joined(prompt: Prompt, node: Given) -> dict[str, Out]:
    """Several prompts a side."""
    found: dict[str, Out] = {}
    for side, port in (("", "positive"), ("negative", "negative")):
        edges = node.ports.get(port) or []
        for edge in edges:
            before = found.get(side)
            pair = {"conditioning_1": before, "conditioning_2": edge}
            found[side] = edge if before is None else prompt.out("ConditioningCombine", **pair)
    if "negative" not in found:
        raise NoCounterpartError("inputs.negative", "missing", "a prompt of what not to show")
    return found


def empty(prompt: Prompt, node: Given) -> dict[str, Out]:
    """Latents of nothing."""
    node.only("width", "height", "num_frames")
    numbers = {"width": node.params.get("width", 512), "height": node.params.get("height", 512)}
    return {"": prompt.out("EmptyLatentImage", batch_size=node.params.get("num_frames", 1), **numbers)}


def encoded(prompt: Prompt, node: Given) -> dict[str, Out]:
    """Latents of pictures."""
    node.only()
    return {"": prompt.out("VAEEncode", pixels=node.one("frames"), vae=loaded(prompt, node.model).vae)}


def decoded(prompt: Prompt, node: Given) -> dict[str, Out]:
    """Pictures of latents."""
    node.only()
    return {"": prompt.out("VAEDecode", samples=node.one("latents"), vae=loaded(prompt, node.model).vae)}


def denoised(prompt: Prompt, node: Given) -> dict[str, Out]:
    """A sampler."""
    sides = node.sides.get("conditioning")
    if sides is None:
        raise NoCounterpartError("inputs.conditioning", "missing", "a prompt and a negative prompt")
    mask = node.one("mask") if "mask" in node.ports else None
    return {"": drawn(prompt, node, node.one("latents"), sides, mask)}


def resized_latents(prompt: Prompt, node: Given) -> dict[str, Out]:
    """Latents of another size."""
    method, samples = _FILTERS[node.params.get("method", "bilinear")], node.one("latents")
    if "factor" in node.params:
        factor = node.params["factor"]
        return {"": prompt.out("LatentUpscaleBy", samples=samples, upscale_method=method, scale_by=factor)}
    size = {name: node.params.get(name, 0) for name in ("width", "height")}
    return {"": prompt.out("LatentUpscale", samples=samples, upscale_method=method, crop="disabled", **size)}


def resized(prompt: Prompt, node: Given) -> dict[str, Out]:
    """Pictures of another size."""
    node.only("width", "height", "factor", "method", "mode")
    method, image = _FILTERS[node.params.get("method", "lanczos")], node.one("frames")
    mode = node.params.get("mode", "stretch")
    if "factor" in node.params:
        factor = node.params["factor"]
        return {"": prompt.out("ImageScaleBy", image=image, upscale_method=method, scale_by=factor)}
    if mode not in ("stretch", "fill"):
        raise NoCounterpartError("params.mode", f"ComfyUI has no {mode}", "stretch or fill")
    crop = "center" if mode == "fill" else "disabled"
    size = {name: node.params.get(name, 0) for name in ("width", "height")}
    return {"": prompt.out("ImageScale", image=image, upscale_method=method, crop=crop, **size)}


def read(prompt: Prompt, node: Given) -> dict[str, Out]:
    """A picture; its alpha is an output of its own, turned around."""
    node.only("path", "take")
    made = prompt.add("LoadImage", image=PurePosixPath(str(node.params["path"])).name)
    if node.params.get("take") == "alpha":
        opaque = prompt.out("InvertMask", mask=[made, 1])
        return {"": prompt.out("MaskToImage", mask=opaque), "mask": opaque}
    return {"": [made, 0]}


def masked(prompt: Prompt, node: Given) -> dict[str, Out]:
    """A mask of a picture: a channel, turned around, cut, grown; in the order of `take_mask`."""
    node.only("channel", "invert", "threshold", "grow", "taper")
    channel = node.params.get("channel", "luma")
    made = node.one("frames.mask") if "frames.mask" in node.ports else None
    if made is None:
        channel = "red" if channel == "luma" else channel
        made = prompt.out("ImageToMask", image=node.one("frames"), channel=channel)
    if node.params.get("invert"):
        made = prompt.turned(made)
    if (value := node.params.get("threshold")) is not None:
        made = prompt.out("ThresholdMask", mask=made, value=value)
    if grow := node.params.get("grow"):
        taper = bool(node.params.get("taper"))
        made = prompt.out("GrowMask", mask=made, expand=grow, tapered_corners=taper)
    return {"": prompt.out("MaskToImage", mask=made), "mask": made}


def joined_frames(prompt: Prompt, node: Given) -> dict[str, Out]:
    """Pictures one after the other."""
    edges = node.ports["frames"]
    found = edges[0]
    for edge in edges[1:]:
        found = prompt.out("ImageBatch", image1=found, image2=edge)
    return {"": found}


def inverted(prompt: Prompt, node: Given) -> dict[str, Out]:
    """The negative."""
    return {"": prompt.out("ImageInvert", image=node.one("frames"))}


def saved(prompt: Prompt, node: Given) -> dict[str, Out]:
    """Pictures as files."""
    node.only("prefix")
    prefix = str(node.params.get("prefix") or "ComfyUI_").removesuffix("_")
    return {"": [prompt.add("SaveImage", images=node.one("frames"), filename_prefix=prefix), 0]}


Exporter = Callable[[Prompt, Given], dict[str, Out]]
EXPORTERS: Mapping[str, Exporter] = {
    "text_encode": text,
    "mix_conditioning": mixed,
    "place_conditioning": placed,
    "join_conditioning": joined,
    "empty_latents": empty,
    "vae_encode": encoded,
    "vae_decode": decoded,
    "denoise": denoised,
    "resize_latents": resized_latents,
    "resize": resized,
    "read_image": read,
    "take_mask": masked,
    "concat": joined_frames,
    "invert": inverted,
    "save_images": saved,
}
