"""Workflows of Stable Diffusion 1.x, as people make them: our own, after the kinds that are published."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.comfyui.build import Api, Flowing, sampled, saved, texts

FILE = "sd15.safetensors"


def start(width: int = 32, height: int = 32, count: int = 1) -> tuple[Flowing, Any, Any]:
    """A workflow with a checkpoint and empty latents."""
    w = Flowing()
    checkpoint = w("CheckpointLoaderSimple", ckpt_name=FILE)
    return w, checkpoint, w("EmptyLatentImage", width=width, height=height, batch_size=count)


def plain(**numbers: Any) -> Callable[[], Api]:
    def make() -> Api:
        w, checkpoint, latent = start()
        prompts = texts(w, checkpoint[1], "a (red:1.3) cat", "bad")
        return saved(w, sampled(w, checkpoint[0], prompts, latent, **numbers), checkpoint[2])

    return make


def batch() -> Api:
    w, checkpoint, latent = start(40, 32, 3)
    prompts = texts(w, checkpoint[1], "a cat", "bad")
    return saved(w, sampled(w, checkpoint[0], prompts, latent), checkpoint[2])


def repeated() -> Api:
    w, checkpoint, latent = start()
    more = w("RepeatLatentBatch", samples=latent, amount=2)
    prompts = texts(w, checkpoint[1], "a cat", "bad")
    return saved(w, sampled(w, checkpoint[0], prompts, more), checkpoint[2])


def from_picture(kind: str = "LoadImage") -> Callable[[], Api]:
    def make() -> Api:
        w, checkpoint, _ = start()
        picture = w(kind, image="example.png")
        latent = w("VAEEncode", pixels=picture, vae=checkpoint[2])
        prompts = texts(w, checkpoint[1], "a cat", "bad")
        return saved(w, sampled(w, checkpoint[0], prompts, latent, denoise=0.5, steps=2), checkpoint[2])

    return make


def scaled_picture() -> Api:
    w, checkpoint, _ = start()
    picture = w("LoadImage", image="example.png")
    small = w("ImageScale", image=picture, upscale_method="nearest-exact", width=48, height=32, crop="center")
    latent = w("VAEEncode", pixels=small, vae=checkpoint[2])
    prompts = texts(w, checkpoint[1], "a cat", "bad")
    return saved(w, sampled(w, checkpoint[0], prompts, latent, denoise=0.6), checkpoint[2])


def enlarged_latent(kind: str, **size: Any) -> Callable[[], Api]:
    def make() -> Api:
        w, checkpoint, latent = start()
        prompts = texts(w, checkpoint[1], "a cat", "bad")
        first = sampled(w, checkpoint[0], prompts, latent)
        large = w(kind, samples=first, **size)
        second = sampled(w, checkpoint[0], prompts, large, denoise=0.5)
        return saved(w, second, checkpoint[2])

    return make


def hires_by_pixels() -> Api:
    w, checkpoint, latent = start()
    prompts = texts(w, checkpoint[1], "a cat", "bad")
    first = w("VAEDecode", samples=sampled(w, checkpoint[0], prompts, latent), vae=checkpoint[2])
    large = w("ImageScaleBy", image=first, upscale_method="bicubic", scale_by=1.5)
    second = w("VAEEncode", pixels=large, vae=checkpoint[2])
    return saved(w, sampled(w, checkpoint[0], prompts, second, denoise=0.4), checkpoint[2])


def inpainted(how: str) -> Callable[[], Api]:
    def make() -> Api:
        w, checkpoint, _ = start()
        picture = w("LoadImage", image="example.png")
        if how == "VAEEncodeForInpaint":
            latent = w(how, pixels=picture, vae=checkpoint[2], mask=picture[1], grow_mask_by=2)
        else:
            mask = w("GrowMask", mask=picture[1], expand=2, tapered_corners=True)
            latent = w("VAEEncode", pixels=picture, vae=checkpoint[2])
            latent = w("SetLatentNoiseMask", samples=latent, mask=mask)
        prompts = texts(w, checkpoint[1], "a cat", "bad")
        return saved(w, sampled(w, checkpoint[0], prompts, latent, denoise=0.8), checkpoint[2])

    return make


def outpainted() -> Api:
    w, checkpoint, _ = start()
    picture = w("LoadImage", image="example.png")
    sides = {"left": 8, "top": 0, "right": 16, "bottom": 0, "feathering": 4}
    padded = w("ImagePadForOutpaint", image=picture, **sides)
    latent = w("VAEEncodeForInpaint", pixels=padded, vae=checkpoint[2], mask=padded[1], grow_mask_by=0)
    prompts = texts(w, checkpoint[1], "a cat", "bad")
    return saved(w, sampled(w, checkpoint[0], prompts, latent), checkpoint[2])


def conditioned(kind: str, **inputs: Any) -> Callable[[], Api]:
    """Two prompts and what is done with them."""

    def make() -> Api:
        w, checkpoint, latent = start()
        one, two, bad = texts(w, checkpoint[1], "a red cat", "blue sky", "bad")
        ports = {
            "ConditioningCombine": ("conditioning_1", "conditioning_2"),
            "ConditioningConcat": ("conditioning_to", "conditioning_from"),
            "ConditioningAverage": ("conditioning_to", "conditioning_from"),
        }
        if kind in ports:
            told = w(kind, **dict(zip(ports[kind], (one, two), strict=True)), **inputs)
        else:
            part = w(kind, conditioning=two, **inputs)
            told = w("ConditioningCombine", conditioning_1=one, conditioning_2=part)
        return saved(w, sampled(w, checkpoint[0], [told, bad], latent), checkpoint[2])

    return make


def masked_prompt() -> Api:
    w, checkpoint, latent = start()
    one, two, bad = texts(w, checkpoint[1], "a red cat", "blue sky", "bad")
    mask = w("LoadImageMask", image="example.png", channel="red")
    part = w("ConditioningSetMask", conditioning=two, mask=mask, strength=1.0, set_cond_area="default")
    told = w("ConditioningCombine", conditioning_1=one, conditioning_2=part)
    return saved(w, sampled(w, checkpoint[0], [told, bad], latent), checkpoint[2])


def zeroed() -> Api:
    w, checkpoint, latent = start()
    one, two = texts(w, checkpoint[1], "a red cat", "bad")
    nothing = w("ConditioningZeroOut", conditioning=two)
    return saved(w, sampled(w, checkpoint[0], [one, nothing], latent), checkpoint[2])


def advanced(**numbers: Any) -> Callable[[], Api]:
    def make() -> Api:
        w, checkpoint, latent = start()
        prompts = texts(w, checkpoint[1], "a red cat", "bad")
        shared = {"noise_seed": 7, "steps": 4, "cfg": 4.0, "sampler_name": "euler", "scheduler": "karras"}
        shared |= {"model": checkpoint[0], "positive": prompts[0][0], "negative": prompts[1][0], **numbers}
        first = w(
            "KSamplerAdvanced", latent_image=latent, add_noise="enable", start_at_step=0, end_at_step=2,
            return_with_leftover_noise="enable", **shared,
        )  # fmt: skip
        second = w(
            "KSamplerAdvanced", latent_image=first, add_noise="disable", start_at_step=2, end_at_step=10000,
            return_with_leftover_noise="disable", **shared,
        )  # fmt: skip
        return saved(w, second, checkpoint[2])

    return make


def taken_apart(advanced: bool) -> Callable[[], Api]:
    def make() -> Api:
        w, checkpoint, latent = start()
        one, two = texts(w, checkpoint[1], "a red cat", "bad")
        sigmas = w("BasicScheduler", model=checkpoint[0], scheduler="karras", steps=3, denoise=1.0)
        method = w("KSamplerSelect", sampler_name="dpmpp_2m")
        if not advanced:
            made = w(
                "SamplerCustom", model=checkpoint[0], add_noise=True, noise_seed=3, cfg=6.0, positive=one,
                negative=two, sampler=method, sigmas=sigmas, latent_image=latent,
            )  # fmt: skip
        else:
            guider = w("CFGGuider", model=checkpoint[0], positive=one, negative=two, cfg=6.0)
            noise = w("RandomNoise", noise_seed=2**64 - 1)
            made = w(
                "SamplerCustomAdvanced", noise=noise, guider=guider, sampler=method, sigmas=sigmas,
                latent_image=latent,
            )  # fmt: skip
        return saved(w, made, checkpoint[2])

    return make


def skipped_layers() -> Api:
    w, checkpoint, latent = start()
    clip = w("CLIPSetLastLayer", clip=checkpoint[1], stop_at_clip_layer=-2)
    prompts = texts(w, clip[0], "a cat", "bad")
    return saved(w, sampled(w, checkpoint[0], prompts, latent), checkpoint[2])


def with_lora(model: float = 0.8, clip: float = 0.8) -> Callable[[], Api]:
    def make() -> Api:
        w, checkpoint, latent = start()
        lora = w(
            "LoraLoader", model=checkpoint[0], clip=checkpoint[1], lora_name="style.safetensors",
            strength_model=model, strength_clip=clip,
        )  # fmt: skip
        prompts = texts(w, lora[1], "a cat", "bad")
        return saved(w, sampled(w, lora[0], prompts, latent), checkpoint[2])

    return make


def with_vae() -> Api:
    w, checkpoint, latent = start()
    prompts = texts(w, checkpoint[1], "a cat", "bad")
    vae = w("VAELoader", vae_name="vae.safetensors")
    return saved(w, sampled(w, checkpoint[0], prompts, latent), vae[0])


def controlled(kind: str, **numbers: Any) -> Callable[[], Api]:
    def make() -> Api:
        w, checkpoint, latent = start(64, 64)
        one, two = texts(w, checkpoint[1], "a cat", "bad")
        net = w("ControlNetLoader", control_net_name="lines.safetensors")
        edges = w("Canny", image=w("LoadImage", image="example.png"), low_threshold=0.1, high_threshold=0.3)
        if kind == "ControlNetApply":
            told = w(kind, conditioning=one, control_net=net, image=edges, strength=0.8)
            prompts: list[Any] = [told, two]
        else:
            both = w(kind, positive=one, negative=two, control_net=net, image=edges, strength=0.8, **numbers)
            prompts = [both[0], both[1]]
        return saved(w, sampled(w, checkpoint[0], prompts, latent, steps=4), checkpoint[2])

    return make


def two_results() -> Api:
    w, checkpoint, latent = start()
    one, two, bad = texts(w, checkpoint[1], "a cat", "a dog", "bad")
    for prompt in (one, two):
        saved(w, sampled(w, checkpoint[0], [prompt, bad], latent), checkpoint[2])
    return w.nodes


def with_preview() -> Api:
    w, checkpoint, latent = start()
    prompts = texts(w, checkpoint[1], "a cat", "bad")
    made = sampled(w, checkpoint[0], prompts, latent)
    mystery = w("SomethingElse", latent=made)
    w("PreviewImage", images=mystery)
    return saved(w, made, checkpoint[2])


def joined_pictures() -> Api:
    w = Flowing()
    one, two = (w("LoadImage", image="example.png") for _ in range(2))
    turned = w("ImageInvert", image=two)
    w("SaveImage", images=w("ImageBatch", image1=one, image2=turned), filename_prefix="both")
    return w.nodes


def mask_shown() -> Api:
    w = Flowing()
    picture = w("LoadImage", image="example.png")
    mask = w("InvertMask", mask=w("ThresholdMask", mask=picture[1], value=0.5))
    w("SaveImage", images=w("MaskToImage", mask=mask), filename_prefix="mask")
    return w.nodes


def texts_from_nodes() -> Api:
    w, checkpoint, _ = start()
    words = w("PrimitiveStringMultiline", value="a cat\nin the sky")
    side = w("PrimitiveInt", value=40)
    latent = w("EmptyLatentImage", width=side, height=32, batch_size=1)
    prompts = [w("CLIPTextEncode", text=words, clip=checkpoint[1]), *texts(w, checkpoint[1], "bad")]
    return saved(w, sampled(w, checkpoint[0], prompts, latent), checkpoint[2])


def as_clip(kind: str, **inputs: Any) -> Callable[[], Api]:
    def make() -> Api:
        w, checkpoint, latent = start(32, 32, 4)
        prompts = texts(w, checkpoint[1], "a cat", "bad")
        made = sampled(w, checkpoint[0], prompts, latent)
        pictures = w("VAEDecode", samples=made, vae=checkpoint[2])
        if kind == "SaveVideo":
            clip = w("CreateVideo", images=pictures, fps=8)
            w(kind, video=clip, filename_prefix="video/ComfyUI", format="auto", codec="auto")
        else:
            w(kind, images=pictures, filename_prefix="ComfyUI", **inputs)
        return w.nodes

    return make
