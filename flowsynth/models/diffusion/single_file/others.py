"""Single files that are no checkpoint of a whole pipeline known here: what they look like, and what to do."""

from __future__ import annotations

from pathlib import Path

from flowsynth.models.diffusion.single_file.networks import Shapes

_ALONE = (
    "{what}'s transformer, which is no whole pipeline: its text encoders, VAE and scheduler are elsewhere;"
    " write family: diffusers, source: the folder of a {what} pipeline, components: {{transformer: {file}}}"
)
#: Parts of tensors' names -> what such files are, if they are a denoiser.
_DENOISERS = {
    "joint_blocks.": "Stable Diffusion 3",
    "distilled_guidance_layer.": "Chroma",
    "double_stream_modulation_img.": "Flux.2",
    "double_blocks.": "Flux",
    "double_layers.": "AuraFlow",
    "patchify_proj.": "LTX-Video",
    "attn.qkv_x.": "Mochi",
    "individual_token_refiner.": "HunyuanVideo",
    "head.modulation": "Wan",
    "cap_embedder.": "Lumina 2 or Z-Image",
    "txt_norm.": "Qwen-Image",
}
#: Parts of tensors' names -> what such files are, and where they go.
_PARTS = {
    "lora_": "a LoRA; write it under loras",
    ".lora": "a LoRA; write it under loras",
    "motion_modules.": "a motion adapter; write it as motion",
    "control_model.": "a ControlNet; write it under controlnets, with its config",
    "controlnet_cond_embedding.": "a ControlNet; write it under controlnets, with its config",
    "conditioner.embedders.": "SDXL with parts that are not as published",
    "cond_stage_model.": "Stable Diffusion with parts that are not as published",
    "model.diffusion_model.input_blocks.": "the UNet of a Stable Diffusion without its text encoder",
    "first_stage_model.": "a VAE; write it as vae, with its config",
    "decoder.up.": "a VAE; write it as vae, with its config",
    "decoder.up_blocks.": "a VAE; write it as vae, with its config",
    "down_blocks.": "one network of a diffusers folder",
    "text_model.": "a text encoder",
}


def looks_like(file: Path, shapes: Shapes) -> str:
    """The end of a message: what a file seems to be."""
    for part, what in _DENOISERS.items():
        if any(part in name for name in shapes):
            return "it looks like " + _ALONE.format(what=what, file=file)
    for part, what in _PARTS.items():
        if any(part in name for name in shapes):
            return f"it looks like {what}"
    if file.suffix != ".safetensors":
        return f"only .safetensors shows what it holds without being loaded, given {file.suffix or 'none'}"
    return "its tensors are not those of a checkpoint known here"
