"""ControlNets, and pictures in place of words (IP-Adapter)."""

from __future__ import annotations

from dataclasses import replace

from flowsynth.comfyui.mapping.errors import CannotMapError
from flowsynth.comfyui.mapping.site import Site
from flowsynth.comfyui.mapping.table import Outputs, Table, node
from flowsynth.comfyui.mapping.values import (
    Cond,
    ControlNet,
    File,
    Net,
    Opaque,
    Picture,
    Prompting,
    Steering,
    Vision,
)  # fmt: skip


def load(site: Site) -> Outputs:
    """A ControlNet's file."""
    return (ControlNet(File("controlnet", site.text("control_net_name").replace("\\", "/"))),)


def apply(site: Site) -> Outputs:
    """On one conditioning, and by it on the other side too."""
    cond, strength = site.need("conditioning", Cond), site.number("strength", 1)
    return (_steered(site, cond, strength, 0.0, 1.0),)


def apply_advanced(site: Site) -> Outputs:
    """On both conditionings, between two percents of the noise schedule."""
    strength = site.number("strength", 1)
    span = site.number("start_percent", 0), site.number("end_percent", 1)
    return tuple(_steered(site, site.need(port, Cond), strength, *span) for port in ("positive", "negative"))


def _steered(site: Site, cond: Cond, strength: float, start: float, end: float) -> Cond:
    if not strength or end <= start:
        return cond
    net, picture = site.need("control_net", ControlNet), site.need("image", Picture)
    return replace(cond, steering=(*cond.steering, Steering(net, picture.edge, strength, start, end)))


def load_adapter(site: Site) -> Outputs:
    """An IP-Adapter's file."""
    return (
        Opaque("ipadapter", (("file", File("ipadapter", site.text("ipadapter_file"))), ("encoder", None))),
    )


#: Published adapters by ComfyUI's presets: Stable Diffusion 1.x's and SDXL's.
_PRESETS = {
    "LIGHT": ("ip-adapter_sd15_light_v11.bin", ""),
    "STANDARD": ("ip-adapter_sd15.safetensors", "ip-adapter_sdxl_vit-h.safetensors"),
    "VIT-G": ("ip-adapter_sd15_vit-G.safetensors", "ip-adapter_sdxl.safetensors"),
    "PLUS (": ("ip-adapter-plus_sd15.safetensors", "ip-adapter-plus_sdxl_vit-h.safetensors"),
    "PLUS FACE": ("ip-adapter-plus-face_sd15.safetensors", "ip-adapter-plus-face_sdxl_vit-h.safetensors"),
    "FULL FACE": ("ip-adapter-full-face_sd15.safetensors", ""),
}


def load_preset(site: Site) -> Outputs:
    """An IP-Adapter and its encoder by what they are for."""
    from flowsynth.comfyui.mapping.architectures import arch_of

    net, preset = site.need("model", Net), site.text("preset")
    large = arch_of(net.file.name, site.sketch.hints).name == "sdxl"
    names = next((names for part, names in _PRESETS.items() if part in preset), ("", ""))
    if not names[large]:
        raise CannotMapError(
            f"preset: expected one of a published IP-Adapter of this model, given {preset!r}"
        )
    encoder = "CLIP-ViT-bigG-14-laion2B-39B-b160k" if "VIT-G" in preset else "CLIP-ViT-H-14-laion2B-s32B-b79K"
    found = Opaque(
        "ipadapter", (("file", File("ipadapter", names[large])), ("encoder", File("clip_vision", encoder)))
    )
    return net, found


def prompt_by_picture(site: Site) -> Outputs:
    """A picture that the denoiser sees beside the words."""
    net, adapter = site.need("model", Net), site.need("ipadapter", Opaque)
    if site.value("attn_mask") is not None or site.value("image_negative") is not None:
        raise CannotMapError(
            "attn_mask, image_negative: an IP-Adapter here takes one picture for all of the frame"
        )
    kind = site.text("weight_type", "linear")
    if kind not in ("linear", "standard", "original", "prompt is more important", "style transfer"):
        raise CannotMapError(f"weight_type: expected linear, given {kind!r}")
    if kind not in ("linear", "standard", "original"):
        raise CannotMapError(f"weight_type: expected linear, one weight for all blocks, given {kind!r}")
    if site.number("start_at", 0) > 0 or site.number("end_at", 1) < 1:
        raise CannotMapError("start_at, end_at: an IP-Adapter here acts at all steps; expected 0 and 1")
    file, seen = adapter.get("file"), site.maybe("clip_vision", Vision)
    encoder = seen.file if seen is not None else adapter.get("encoder")
    if not isinstance(file, File):
        raise CannotMapError("ipadapter: expected the file of an adapter")
    weight = site.number("weight", 1)
    picture = site.need("image", Picture).edge
    made = Prompting(file, encoder if isinstance(encoder, File) else None, picture, weight)
    return (replace(net, prompting=(*net.prompting, made)),)


TABLE: Table = {
    "ControlNetLoader": node(load, "control_net_name"),
    "DiffControlNetLoader": node(load, "control_net_name"),
    "ControlNetApply": node(apply, "strength"),
    "ControlNetApplyAdvanced": node(apply_advanced, "strength start_percent end_percent"),
    "ControlNetApplySD3": node(apply_advanced, "strength start_percent end_percent"),
    "IPAdapterModelLoader": node(load_adapter, "ipadapter_file"),
    "IPAdapterUnifiedLoader": node(load_preset, "preset"),
    "IPAdapter": node(prompt_by_picture, "weight start_at end_at weight_type"),
    "IPAdapterApply": node(prompt_by_picture, "weight noise weight_type start_at end_at unfold_batch"),
    "IPAdapterAdvanced": node(
        prompt_by_picture, "weight weight_type combine_embeds start_at end_at embeds_scaling"
    ),
}
