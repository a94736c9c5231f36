"""All workflows of the tests by name, and what a run of each gives: pictures with their sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.comfyui import flows_models as models
from tests.comfyui import flows_sd as sd
from tests.comfyui.build import Api

#: Name -> the workflow, and (number, width, height) of each result where tiny models run it.
RUN: dict[str, tuple[Callable[[], Api], list[tuple[int, int, int]]]] = {
    "plain": (sd.plain(), [(1, 32, 32)]),
    "batch": (sd.batch, [(3, 40, 32)]),
    "repeated": (sd.repeated, [(2, 32, 32)]),
    "from_picture": (sd.from_picture(), [(1, 64, 64)]),
    "scaled_picture": (sd.scaled_picture, [(1, 48, 32)]),
    "latent_upscale": (
        sd.enlarged_latent("LatentUpscale", upscale_method="bislerp", width=48, height=48, crop="disabled"),
        [(1, 48, 48)],
    ),
    "latent_upscale_by": (
        sd.enlarged_latent("LatentUpscaleBy", upscale_method="nearest-exact", scale_by=1.5),
        [(1, 48, 48)],
    ),
    "hires_by_pixels": (sd.hires_by_pixels, [(1, 48, 48)]),
    "inpaint_grey": (sd.inpainted("VAEEncodeForInpaint"), [(1, 64, 64)]),
    "inpaint_masked": (sd.inpainted("SetLatentNoiseMask"), [(1, 64, 64)]),
    "outpaint": (sd.outpainted, [(1, 88, 64)]),
    "combine": (sd.conditioned("ConditioningCombine"), [(1, 32, 32)]),
    "average": (sd.conditioned("ConditioningAverage", conditioning_to_strength=0.4), [(1, 32, 32)]),
    "area": (
        sd.conditioned("ConditioningSetArea", x=0, y=0, width=16, height=32, strength=1.0),
        [(1, 32, 32)],
    ),
    "timestep_range": (sd.conditioned("ConditioningSetTimestepRange", start=0.2, end=0.8), [(1, 32, 32)]),
    "mask_prompt": (sd.masked_prompt, [(1, 32, 32)]),
    "zeroed": (sd.zeroed, [(1, 32, 32)]),
    "advanced": (sd.advanced(), [(1, 32, 32)]),
    "custom": (sd.taken_apart(advanced=False), [(1, 32, 32)]),
    "custom_advanced": (sd.taken_apart(advanced=True), [(1, 32, 32)]),
    "skipped_layers": (sd.skipped_layers, [(1, 32, 32)]),
    "two_results": (sd.two_results, [(1, 32, 32), (1, 32, 32)]),
    "with_preview": (sd.with_preview, [(1, 32, 32)]),
    "joined_pictures": (sd.joined_pictures, [(2, 64, 64)]),
    "mask_shown": (sd.mask_shown, [(1, 64, 64)]),
    "texts_from_nodes": (sd.texts_from_nodes, [(1, 40, 32)]),
    "xl": (models.xl(), [(1, 32, 32)]),
    "xl_batch": (models.xl(2), [(2, 32, 32)]),
    "xl_two_texts": (models.xl_two_texts, [(1, 32, 32)]),
    "xl_refined": (models.xl_refined, [(1, 32, 32)]),
    "xl_hires": (models.xl_hires, [(1, 48, 48)]),
    "xl_from_picture": (models.xl_from_picture, [(1, 64, 64)]),
    "xl_zeroed": (models.xl_zeroed, [(1, 32, 32)]),
    "vae": (sd.with_vae, [(1, 32, 32)]),
    "controlnet": (sd.controlled("ControlNetApply"), [(1, 64, 64)]),
    "controlnet_advanced": (
        sd.controlled("ControlNetApplyAdvanced", start_percent=0.2, end_percent=0.7),
        [(1, 64, 64)],
    ),
    "webp": (
        sd.as_clip("SaveAnimatedWEBP", fps=6.0, lossless=True, quality=90, method="default"),
        [(4, 32, 32)],
    ),
    "video": (sd.as_clip("SaveVideo"), [(4, 32, 32)]),
}
_SAMPLERS: list[dict[str, Any]] = [
    {"sampler_name": "dpmpp_2m", "scheduler": "karras"},
    {"sampler_name": "dpmpp_2m_sde_gpu", "scheduler": "exponential"},
    {"sampler_name": "dpmpp_3m_sde", "scheduler": "karras"},
    {"sampler_name": "euler_ancestral", "scheduler": "simple"},
    {"sampler_name": "uni_pc_bh2", "scheduler": "sgm_uniform"},
    {"sampler_name": "ddim", "scheduler": "ddim_uniform"},
    {"sampler_name": "heun", "scheduler": "karras"},
    {"sampler_name": "lcm", "scheduler": "sgm_uniform", "cfg": 1.0},
    {"sampler_name": "dpm_2_ancestral", "scheduler": "normal"},
    {"sampler_name": "lms", "scheduler": "beta"},
]
RUN |= {f"{n['sampler_name']}_{n['scheduler']}": (sd.plain(**n), [(1, 32, 32)]) for n in _SAMPLERS}
#: Those that need files which are not made for the tests.
READ: dict[str, Callable[[], Api]] = {
    "lora": sd.with_lora(),
    "lora_strengths": sd.with_lora(0.8, 0.4),
    "lora_model_only": sd.with_lora(1.0, 0.0),
    "concat": sd.conditioned("ConditioningConcat"),
    "xl_inpainted": models.xl_inpainted,
    "ip_adapter": models.by_picture(preset=False),
    "ip_adapter_preset": models.by_picture(preset=True),
    "flux": models.flux(apart=False),
    "flux_apart": models.flux(apart=True),
    "kontext": models.kontext,
    "sd3": models.stable_3,
    "qwen_image": models.one_file("qwen_image_fp8.safetensors", "qwen_image", "EmptySD3LatentImage"),
    "z_image": models.one_file("z_image_turbo.safetensors", "lumina2", "EmptySD3LatentImage", cfg=1.0),
    "auraflow": models.one_file("aura_flow_0.3.safetensors", "auraflow", "EmptyLatentImage"),
    "wan": models.filmed("wan2.1_t2v_1.3B.safetensors", "wan"),
    "wan_from_picture": models.filmed("wan2.1_i2v_480p_14B.safetensors", "wan", image=True),
    "wan_two_experts": models.two_experts,
    "svd": models.moving_picture,
    "animatediff": models.animated,
    "upscale_model": models.enlarged,
    "film": models.cut_film,
    "area_shares": sd.conditioned(
        "ConditioningSetAreaPercentage", x=0.5, y=0.0, width=0.5, height=1.0, strength=1.0
    ),
}
EVERY: dict[str, Callable[[], Api]] = {**{name: make for name, (make, _) in RUN.items()}, **READ}
