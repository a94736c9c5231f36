"""Checkpoints, denoisers, text encoders, VAEs, LoRAs, and patches of a model's sampling."""

from __future__ import annotations

from dataclasses import replace

from flowsynth.comfyui.mapping.errors import CannotMapError
from flowsynth.comfyui.mapping.site import Site
from flowsynth.comfyui.mapping.table import Mapper, Outputs, Table, node
from flowsynth.comfyui.mapping.values import Adapter, Clip, File, Net, Upscaler, Vae, Vision


def checkpoint(site: Site) -> Outputs:
    """A file with everything."""
    file = File("checkpoints", _name(site, "ckpt_name"))
    return Net(file), Clip((file,)), Vae(file)


def picture_checkpoint(site: Site) -> Outputs:
    """A file whose text encoder is one of pictures (SVD, unCLIP)."""
    file = File("checkpoints", _name(site, "ckpt_name"))
    return Net(file), Vision(None), Vae(file)


def unclip_checkpoint(site: Site) -> Outputs:
    """A file with text and picture encoders."""
    net, clip, vae = checkpoint(site)
    return net, clip, vae, Vision(None)


def denoiser(site: Site) -> Outputs:
    """A denoiser without text encoders and VAE."""
    return (Net(File("diffusion_models", _name(site, "unet_name")), whole=False),)


def text_encoders(*ports: str) -> Mapper:
    """A loader of one text encoder a port."""

    def run(site: Site) -> Outputs:
        files = tuple(File("text_encoders", _name(site, port)) for port in ports)
        return (Clip(files, site.text("type", "sd3")),)

    return run


def vae(site: Site) -> Outputs:
    """A VAE's file."""
    return (Vae(File("vae", _name(site, "vae_name")), whole=False),)


def lora(site: Site) -> Outputs:
    """An adapter on denoiser and text encoder, with a strength for each."""
    file = File("loras", _name(site, "lora_name"))
    return (
        _patched(site.need("model", Net), file, site.number("strength_model", 1)),
        _worded(site.maybe("clip", Clip), file, site.number("strength_clip", 1)),
    )


def lora_model_only(site: Site) -> Outputs:
    """An adapter on the denoiser."""
    file = File("loras", _name(site, "lora_name"))
    return (_patched(site.need("model", Net), file, site.number("strength_model", 1)),)


def _patched(net: Net, file: File, strength: float) -> Net:
    return replace(net, loras=(*net.loras, Adapter(file, strength))) if strength else net


def _worded(clip: Clip | None, file: File, strength: float) -> Clip | None:
    if clip is None or not strength:
        return clip
    return replace(clip, loras=(*clip.loras, Adapter(file, strength)))


def last_layer(site: Site) -> Outputs:
    """Layers left out: -1 is none, -2 the last."""
    layer = site.whole("stop_at_clip_layer", -1)
    if layer >= 0:
        raise CannotMapError(f"stop_at_clip_layer: expected -1 or less, given {layer}")
    return (replace(site.need("clip", Clip), skip=-layer - 1),)


def shift(port: str = "shift") -> Mapper:
    """A patch that moves a flow-matching model's schedule towards noise."""

    def run(site: Site) -> Outputs:
        net = site.need("model", Net)
        return (replace(net, scheduler=(*net.scheduler, ("shift", site.number(port, 3)))),)

    return run


_SAMPLINGS = {"eps": "epsilon", "v_prediction": "v_prediction"}


def discrete(site: Site) -> Outputs:
    """What a network predicts, and zero terminal SNR (arXiv 2305.08891)."""
    net, kind = site.need("model", Net), site.text("sampling", "eps")
    if kind == "lcm":
        return (net,)
    if kind not in _SAMPLINGS:
        raise CannotMapError(f"sampling: expected {', '.join(_SAMPLINGS)} or lcm, given {kind!r}")
    said = (("prediction_type", _SAMPLINGS[kind]), ("rescale_betas_zero_snr", site.truth("zsnr")))
    return (replace(net, scheduler=(*net.scheduler, *[(k, v) for k, v in said if v])),)


def unpatched(site: Site) -> Outputs:
    """A patch whose effect is a model's own here, or of memory alone."""
    return (site.need("model", Net),)


def rescaled(site: Site) -> Outputs:
    """Guidance brought back to the text noise's deviation (arXiv 2305.08891)."""
    net = site.need("model", Net)
    return (replace(net, options=(*net.options, ("guidance_rescale", site.number("multiplier", 0.7)))),)


def perpetual(site: Site) -> Outputs:
    """Guidance that rises over the frames (SVD)."""
    net = site.need("model", Net)
    return (replace(net, options=(*net.options, ("min_guidance_scale", site.number("min_cfg", 1)))),)


def upscaler(site: Site) -> Outputs:
    """A network that enlarges."""
    return (Upscaler(File("upscale_models", _name(site, "model_name"))),)


def vision(site: Site) -> Outputs:
    """An encoder of pictures."""
    return (Vision(File("clip_vision", _name(site, "clip_name"))),)


def _name(site: Site, port: str) -> str:
    name = site.text(port).replace("\\", "/")
    if not name or name == "None":
        raise CannotMapError(f"{port}: expected the name of a file, given nothing")
    return name


TABLE: Table = {
    "CheckpointLoaderSimple": node(checkpoint, "ckpt_name"),
    "CheckpointLoader": node(checkpoint, "config_name ckpt_name"),
    "ImageOnlyCheckpointLoader": node(picture_checkpoint, "ckpt_name"),
    "unCLIPCheckpointLoader": node(unclip_checkpoint, "ckpt_name"),
    "UNETLoader": node(denoiser, "unet_name weight_dtype"),
    "UnetLoaderGGUF": node(denoiser, "unet_name"),
    "CLIPLoader": node(text_encoders("clip_name"), "clip_name type device"),
    "DualCLIPLoader": node(text_encoders("clip_name1", "clip_name2"), "clip_name1 clip_name2 type device"),
    "TripleCLIPLoader": node(
        text_encoders("clip_name1", "clip_name2", "clip_name3"), "clip_name1 clip_name2 clip_name3"
    ),
    "QuadrupleCLIPLoader": node(
        text_encoders("clip_name1", "clip_name2", "clip_name3", "clip_name4"),
        "clip_name1 clip_name2 clip_name3 clip_name4",
    ),
    "VAELoader": node(vae, "vae_name"),
    "LoraLoader": node(lora, "lora_name strength_model strength_clip"),
    "LoraLoaderModelOnly": node(lora_model_only, "lora_name strength_model"),
    "CLIPSetLastLayer": node(last_layer, "stop_at_clip_layer"),
    "ModelSamplingSD3": node(shift(), "shift"),
    "ModelSamplingAuraFlow": node(shift(), "shift"),
    "ModelSamplingFlux": node(unpatched, "max_shift base_shift width height"),
    "ModelSamplingLTXV": node(unpatched, "max_shift base_shift"),
    "ModelSamplingDiscrete": node(discrete, "sampling zsnr"),
    "RescaleCFG": node(rescaled, "multiplier"),
    "VideoLinearCFGGuidance": node(perpetual, "min_cfg"),
    "T5TokenizerOptions": node(lambda site: (site.need("clip", Clip),), "min_padding min_length"),
    "UpscaleModelLoader": node(upscaler, "model_name"),
    "CLIPVisionLoader": node(vision, "clip_name"),
}
