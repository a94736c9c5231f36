"""Workflows of SDXL, SD3, Flux, Wan and others: our own, after the kinds that are published."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.comfyui.build import Api, Flowing, sampled, saved, texts

XL, REFINER = "sdxl.safetensors", "sdxl_refiner.safetensors"


def start(file: str = XL, size: int = 32, count: int = 1) -> tuple[Flowing, Any, Any]:
    w = Flowing()
    checkpoint = w("CheckpointLoaderSimple", ckpt_name=file)
    return w, checkpoint, w("EmptyLatentImage", width=size, height=size, batch_size=count)


def xl(count: int = 1, **numbers: Any) -> Callable[[], Api]:
    def make() -> Api:
        w, checkpoint, latent = start(count=count)
        prompts = texts(w, checkpoint[1], "a (red:1.2) cat", "bad")
        return saved(w, sampled(w, checkpoint[0], prompts, latent, **numbers), checkpoint[2])

    return make


def xl_two_texts() -> Api:
    w, checkpoint, latent = start()
    sizes = {"width": 64, "height": 64, "crop_w": 0, "crop_h": 0, "target_width": 32, "target_height": 32}
    prompts = [
        w("CLIPTextEncodeSDXL", clip=checkpoint[1], text_g="a large cat", text_l="a cat", **sizes),
        w("CLIPTextEncodeSDXL", clip=checkpoint[1], text_g="bad", text_l="bad", **sizes),
    ]
    return saved(w, sampled(w, checkpoint[0], prompts, latent), checkpoint[2])


def xl_refined() -> Api:
    w, checkpoint, latent = start()
    other = w("CheckpointLoaderSimple", ckpt_name=REFINER)
    numbers = {"noise_seed": 4, "steps": 4, "cfg": 5.0, "sampler_name": "euler", "scheduler": "normal"}
    one, two = texts(w, checkpoint[1], "a cat", "bad")
    base = w(
        "KSamplerAdvanced",
        model=checkpoint[0],
        positive=one,
        negative=two,
        latent_image=latent,
        add_noise="enable",
        start_at_step=0,
        end_at_step=3,
        return_with_leftover_noise="enable",
        **numbers,
    )
    three, four = (
        w("CLIPTextEncodeSDXLRefiner", clip=other[1], text=text, ascore=score, width=64, height=64)
        for text, score in (("a cat", 6.0), ("bad", 2.5))
    )
    refined = w(
        "KSamplerAdvanced",
        model=other[0],
        positive=three,
        negative=four,
        latent_image=base,
        add_noise="disable",
        start_at_step=3,
        end_at_step=10000,
        return_with_leftover_noise="disable",
        **numbers,
    )
    return saved(w, refined, other[2])


def xl_hires() -> Api:
    w, checkpoint, latent = start()
    prompts = texts(w, checkpoint[1], "a cat", "bad")
    first = sampled(w, checkpoint[0], prompts, latent)
    large = w("LatentUpscaleBy", samples=first, upscale_method="bilinear", scale_by=1.5)
    return saved(w, sampled(w, checkpoint[0], prompts, large, denoise=0.5, steps=2), checkpoint[2])


def xl_from_picture() -> Api:
    w, checkpoint, _ = start()
    latent = w("VAEEncode", pixels=w("LoadImage", image="example.png"), vae=checkpoint[2])
    prompts = texts(w, checkpoint[1], "a cat", "bad")
    return saved(w, sampled(w, checkpoint[0], prompts, latent, denoise=0.5), checkpoint[2])


def xl_zeroed() -> Api:
    w, checkpoint, latent = start()
    one, two = texts(w, checkpoint[1], "a cat", "bad")
    prompts = [one, w("ConditioningZeroOut", conditioning=two)]
    return saved(w, sampled(w, checkpoint[0], prompts, latent), checkpoint[2])


def xl_inpainted() -> Api:
    w, checkpoint, _ = start("sdxl_inpainting.safetensors")
    picture = w("LoadImage", image="example.png")
    latent = w("VAEEncodeForInpaint", pixels=picture, vae=checkpoint[2], mask=picture[1], grow_mask_by=6)
    prompts = texts(w, checkpoint[1], "a cat", "bad")
    return saved(w, sampled(w, checkpoint[0], prompts, latent), checkpoint[2])


def by_picture(preset: bool) -> Callable[[], Api]:
    def make() -> Api:
        w, checkpoint, latent = start("sd15.safetensors")
        picture = w("LoadImage", image="example.png")
        numbers = {"weight": 0.8, "weight_type": "linear", "combine_embeds": "concat"}
        numbers |= {"start_at": 0.0, "end_at": 1.0, "embeds_scaling": "V only"}
        if preset:
            loaded = w("IPAdapterUnifiedLoader", model=checkpoint[0], preset="STANDARD (medium strength)")
            net = w("IPAdapterAdvanced", model=loaded[0], ipadapter=loaded[1], image=picture, **numbers)
        else:
            adapter = w("IPAdapterModelLoader", ipadapter_file="ip-adapter_sd15.safetensors")
            vision = w("CLIPVisionLoader", clip_name="vision.safetensors")
            net = w(
                "IPAdapterAdvanced",
                model=checkpoint[0],
                ipadapter=adapter,
                image=picture,
                clip_vision=vision,
                **numbers,
            )
        prompts = texts(w, checkpoint[1], "a cat", "bad")
        return saved(w, sampled(w, net[0], prompts, latent), checkpoint[2])

    return make


def parts(unet: str, clips: dict[str, str], kind: str, vae: str) -> tuple[Flowing, Any, Any, Any]:
    """A denoiser, text encoders and a VAE from files of their own."""
    w = Flowing()
    net = w("UNETLoader", unet_name=unet, weight_dtype="default")
    loader = {1: "CLIPLoader", 2: "DualCLIPLoader", 3: "TripleCLIPLoader"}[len(clips)]
    clip = w(loader, **clips, **({} if len(clips) == 3 else {"type": kind}))
    return w, net, clip, w("VAELoader", vae_name=vae)


def flux(*, apart: bool) -> Callable[[], Api]:
    def make() -> Api:
        names = {"clip_name1": "t5xxl_fp16.safetensors", "clip_name2": "clip_l.safetensors"}
        w, net, clip, vae = parts("flux1-dev.safetensors", names, "flux", "ae.safetensors")
        latent = w("EmptySD3LatentImage", width=1024, height=768, batch_size=1)
        told = w("FluxGuidance", conditioning=texts(w, clip[0], "a cat")[0], guidance=3.0)
        if apart:
            guider = w("BasicGuider", model=net, conditioning=told)
            sigmas = w("BasicScheduler", model=net, scheduler="simple", steps=20, denoise=1.0)
            made = w(
                "SamplerCustomAdvanced",
                noise=w("RandomNoise", noise_seed=1),
                guider=guider,
                sampler=w("KSamplerSelect", sampler_name="euler"),
                sigmas=sigmas,
                latent_image=latent,
            )
        else:
            prompts = [told, *texts(w, clip[0], "")]
            made = sampled(w, net[0], prompts, latent, cfg=1.0, steps=20, scheduler="simple")
        return saved(w, made, vae[0])

    return make


def kontext() -> Api:
    names = {"clip_name1": "clip_l.safetensors", "clip_name2": "t5xxl_fp16.safetensors"}
    w, net, clip, vae = parts("flux1-dev-kontext.safetensors", names, "flux", "ae.safetensors")
    seen = w("VAEEncode", pixels=w("LoadImage", image="example.png"), vae=vae)
    about = w("ReferenceLatent", conditioning=texts(w, clip[0], "make it red")[0], latent=seen)
    told = w("FluxGuidance", conditioning=about, guidance=2.5)
    latent = w("EmptySD3LatentImage", width=1024, height=1024, batch_size=1)
    prompts = [told, w("ConditioningZeroOut", conditioning=texts(w, clip[0], "")[0])]
    return saved(w, sampled(w, net[0], prompts, latent, cfg=1.0, scheduler="simple"), vae[0])


def stable_3() -> Api:
    w = Flowing()
    checkpoint = w("CheckpointLoaderSimple", ckpt_name="sd3_medium_incl_clips.safetensors")
    net = w("ModelSamplingSD3", model=checkpoint[0], shift=3.0)
    latent = w("EmptySD3LatentImage", width=1024, height=1024, batch_size=1)
    prompts = texts(w, checkpoint[1], "a cat", "bad")
    return saved(w, sampled(w, net[0], prompts, latent, scheduler="sgm_uniform"), checkpoint[2])


def one_file(unet: str, kind: str, latent_kind: str, **numbers: Any) -> Callable[[], Api]:
    """A denoiser with one text encoder."""

    def make() -> Api:
        w, net, clip, vae = parts(unet, {"clip_name": "text.safetensors"}, kind, "vae.safetensors")
        patched = w("ModelSamplingAuraFlow", model=net, shift=3.0)
        latent = w(latent_kind, width=1024, height=1024, batch_size=1)
        prompts = texts(w, clip[0], "a cat", "bad")
        return saved(w, sampled(w, patched[0], prompts, latent, scheduler="simple", **numbers), vae[0])

    return make


def filmed(unet: str, kind: str, *, image: bool = False) -> Callable[[], Api]:
    """A clip out of a text, or of a picture."""

    def make() -> Api:
        w, net, clip, vae = parts(unet, {"clip_name": "text.safetensors"}, kind, "vae.safetensors")
        size = {"width": 832, "height": 480, "length": 33, "batch_size": 1}
        patched = w("ModelSamplingSD3", model=net, shift=8.0)
        one, two = texts(w, clip[0], "a cat walks", "bad")
        if image:
            picture = w("LoadImage", image="example.png")
            made = w("WanImageToVideo", positive=one, negative=two, vae=vae, start_image=picture, **size)
            prompts, latent = [made[0], made[1]], made[2]
        else:
            prompts, latent = [one[0], two[0]], w("EmptyHunyuanLatentVideo", **size)[0]
        drawn = sampled(
            w, patched[0], [prompts[0], prompts[1]], latent, sampler_name="uni_pc", scheduler="simple"
        )
        pictures = w("VAEDecode", samples=drawn, vae=vae)
        w(
            "SaveAnimatedWEBP",
            images=pictures,
            filename_prefix="x",
            fps=16.0,
            lossless=False,
            quality=90,
            method="d",
        )
        return w.nodes

    return make


def two_experts() -> Api:
    """Wan 2.2: a denoiser for much noise and one for little."""
    w = Flowing()
    high, low = (
        w("UNETLoader", unet_name=f"wan2.2_t2v_{part}_noise_14B.safetensors", weight_dtype="default")
        for part in ("high", "low")
    )
    clip = w("CLIPLoader", clip_name="umt5.safetensors", type="wan")
    one, two = texts(w, clip[0], "a cat walks", "bad")
    latent = w("EmptyHunyuanLatentVideo", width=640, height=480, length=33, batch_size=1)
    numbers = {"steps": 20, "cfg": 3.5, "sampler_name": "euler", "scheduler": "simple"}
    numbers |= {"positive": one[0], "negative": two[0]}
    first = w(
        "KSamplerAdvanced",
        model=high,
        latent_image=latent,
        add_noise="enable",
        noise_seed=3,
        start_at_step=0,
        end_at_step=10,
        return_with_leftover_noise="enable",
        **numbers,
    )
    second = w(
        "KSamplerAdvanced",
        model=low,
        latent_image=first,
        add_noise="disable",
        noise_seed=0,
        start_at_step=10,
        end_at_step=10000,
        return_with_leftover_noise="disable",
        **numbers,
    )
    pictures = w("VAEDecode", samples=second, vae=w("VAELoader", vae_name="wan.safetensors"))
    w(
        "SaveVideo",
        video=w("CreateVideo", images=pictures, fps=16),
        filename_prefix="x",
        format="mp4",
        codec="h264",
    )
    return w.nodes


def moving_picture() -> Api:
    w = Flowing()
    checkpoint = w("ImageOnlyCheckpointLoader", ckpt_name="svd.safetensors")
    picture = w("LoadImage", image="example.png")
    guided = w("VideoLinearCFGGuidance", model=checkpoint[0], min_cfg=1.0)
    numbers = {"width": 1024, "height": 576, "video_frames": 14, "motion_bucket_id": 127, "fps": 6}
    told = w(
        "SVD_img2vid_Conditioning",
        clip_vision=checkpoint[1],
        init_image=picture,
        vae=checkpoint[2],
        augmentation_level=0.0,
        **numbers,
    )
    drawn = sampled(w, guided[0], [told[0], told[1]], told[2], cfg=2.5, scheduler="karras")
    pictures = w("VAEDecode", samples=drawn, vae=checkpoint[2])
    w(
        "VHS_VideoCombine",
        images=pictures,
        frame_rate=8,
        loop_count=0,
        filename_prefix="x",
        format="video/h264-mp4",
        pingpong=False,
        save_output=True,
    )
    return w.nodes


def animated() -> Api:
    """AnimateDiff over a clip longer than its windows."""
    w, checkpoint, latent = start("sd15.safetensors", 32, 24)
    context = w(
        "ADE_StandardStaticContextOptions",
        context_length=16,
        context_overlap=4,
        fuse_method="pyramid",
        use_on_equal_length=False,
        start_percent=0.0,
        guarantee_steps=1,
    )
    module = w(
        "ADE_ApplyAnimateDiffModelSimple", motion_model=w("ADE_LoadAnimateDiffModel", model_name="mm.ckpt")
    )
    net = w(
        "ADE_UseEvolvedSampling",
        model=checkpoint[0],
        m_models=module,
        context_options=context,
        beta_schedule="autoselect",
    )
    prompts = texts(w, checkpoint[1], "a cat walks", "bad")
    drawn = sampled(w, net[0], prompts, latent)
    pictures = w("VAEDecode", samples=drawn, vae=checkpoint[2])
    w(
        "VHS_VideoCombine",
        images=pictures,
        frame_rate=8,
        loop_count=0,
        filename_prefix="x",
        format="image/gif",
        pingpong=False,
        save_output=True,
    )
    return w.nodes


def enlarged() -> Api:
    w = Flowing()
    net = w("UpscaleModelLoader", model_name="RealESRGAN_x4plus.pth")
    large = w("ImageUpscaleWithModel", upscale_model=net, image=w("LoadImage", image="example.png"))
    small = w("ImageScaleBy", image=large, upscale_method="area", scale_by=0.5)
    w("SaveImage", images=small, filename_prefix="x")
    return w.nodes


def cut_film() -> Api:
    w = Flowing()
    film = w(
        "VHS_LoadVideo",
        video="film.mp4",
        force_rate=8,
        custom_width=64,
        custom_height=0,
        frame_load_cap=16,
        skip_first_frames=4,
        select_every_nth=1,
    )
    w(
        "VHS_VideoCombine",
        images=film[0],
        audio=film[2],
        frame_rate=8,
        loop_count=0,
        filename_prefix="x",
        format="video/h265-mp4",
        pingpong=True,
        save_output=True,
    )
    return w.nodes
