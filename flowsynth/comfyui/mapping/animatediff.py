"""AnimateDiff-Evolved: motion modules, and the windows that go over long clips.

Its windows overlap by `context_overlap` frames, so a window starts every length - overlap frames.
"""

from __future__ import annotations

from dataclasses import replace

from flowsynth.comfyui.mapping.errors import CannotMapError
from flowsynth.comfyui.mapping.site import Site
from flowsynth.comfyui.mapping.table import Outputs, Table, node
from flowsynth.comfyui.mapping.values import Adapter, File, Motion, Net, Opaque

#: Noise schedules by what the nodes call them -> diffusers' ``beta_schedule``; empty is the model's own.
_BETAS = {
    "autoselect": "linear",
    "use existing": "",
    "sqrt_linear (AnimateDiff)": "linear",
    "linear (AnimateDiff-SDXL)": "scaled_linear",
    "lcm": "linear",
    "lcm >> sqrt_linear": "linear",
}


def module(site: Site) -> Outputs:
    """A motion module's file."""
    return (File("animatediff_models", site.text("model_name")),)


def windows(site: Site) -> Outputs:
    """Windows of frames with an overlap."""
    length, overlap = site.whole("context_length", 16), site.whole("context_overlap", 4)
    if site.whole("context_stride", 1) > 1:
        raise CannotMapError("context_stride: expected 1 (windows of neighbouring frames)")
    if site.truth("closed_loop"):
        raise CannotMapError("closed_loop: expected false (windows do not go around the clip's end)")
    if not 0 <= overlap < length:
        raise CannotMapError(f"context_overlap: expected less than context_length {length}, given {overlap}")
    if site.value("view_opts") is not None or site.value("prev_context") is not None:
        raise CannotMapError("view_opts, prev_context: expected nothing connected")
    return (Opaque("windows", (("length", length), ("stride", length - overlap))),)


def load_into(site: Site) -> Outputs:
    """A net with a motion module, in one node."""
    for port in ("motion_model_settings", "ad_settings", "sample_settings", "ad_keyframes", "scale_multival"):
        if site.value(port) is not None:
            raise CannotMapError(f"{port}: expected nothing connected")
    if site.number("motion_scale", 1) != 1:
        raise CannotMapError("motion_scale: expected 1")
    net = site.need("model", Net)
    return (_moving(site, net, File("animatediff_models", site.text("model_name"))),)


def apply(site: Site) -> Outputs:
    """A motion module to be put into a net."""
    for port in ("scale_multival", "effect_multival", "ad_keyframes", "per_block"):
        if site.value(port) is not None:
            raise CannotMapError(f"{port}: expected nothing connected")
    return (
        Opaque("module", (("file", site.need("motion_model", File)), ("loras", site.value("motion_lora")))),
    )


def use(site: Site) -> Outputs:
    """A net with what `apply` prepared."""
    net, prepared = site.need("model", Net), site.maybe("m_models", Opaque)
    if prepared is None:
        return (net,)
    file = prepared.get("file")
    if not isinstance(file, File):
        raise CannotMapError("m_models: expected a motion module")
    return (_moving(site, net, file, prepared.get("loras")),)


def _moving(site: Site, net: Net, file: File, loras: object = None) -> Net:
    beta = site.text("beta_schedule", "autoselect")
    if beta not in _BETAS:
        raise CannotMapError(f"beta_schedule: expected one of {', '.join(_BETAS)}, given {beta!r}")
    context = site.maybe("context_options", Opaque)
    length, stride = (16, 8) if context is None else (context.get("length"), context.get("stride"))
    if context is None:
        site.note("no context options: all frames at once, as many as the motion module knows")
        length, stride = 0, 0
    given = site.value("motion_lora") if loras is None else loras
    adapters = given if isinstance(given, tuple) else ()
    motion = Motion(file, int(str(length)), int(str(stride)), _BETAS[beta])
    return replace(net, motion=motion, loras=(*net.loras, *adapters))


def lora(site: Site) -> Outputs:
    """A motion LoRA, after others."""
    file = File("animatediff_motion_lora", site.text("lora_name") or site.text("name"))
    before = site.value("prev_motion_lora")
    return ((*(before if isinstance(before, tuple) else ()), Adapter(file, site.number("strength", 1))),)


_LOADER = "model_name beta_schedule motion_scale apply_v2_models_properly"
TABLE: Table = {
    "ADE_LoadAnimateDiffModel": node(module, "model_name"),
    "ADE_AnimateDiffLoaderWithContext": node(load_into, _LOADER),
    "ADE_AnimateDiffLoaderGen1": node(load_into, "model_name beta_schedule"),
    "ADE_ApplyAnimateDiffModelSimple": node(apply),
    "ADE_UseEvolvedSampling": node(use, "beta_schedule"),
    "ADE_AnimateDiffLoRALoader": node(lora, "lora_name strength"),
    "ADE_AnimateDiffUniformContextOptions": node(
        windows, "context_length context_stride context_overlap context_schedule closed_loop"
    ),
    "ADE_StandardStaticContextOptions": node(
        windows,
        "context_length context_overlap fuse_method use_on_equal_length start_percent guarantee_steps",
    ),
    "ADE_StandardUniformContextOptions": node(
        windows,
        "context_length context_stride context_overlap fuse_method use_on_equal_length start_percent"
        " guarantee_steps",
    ),
}
