"""The denoising loop against diffusers' own pipelines, bit for bit, on tiny real models."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import pytest
import torch
from diffusers import (
    AnimateDiffControlNetPipeline,
    AnimateDiffPipeline,
    AnimateDiffVideoToVideoPipeline,
    ControlNetModel,
    LCMScheduler,
    MotionAdapter,
    StableDiffusionControlNetImg2ImgPipeline,
    StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionPipeline,
)
from PIL import Image

from flowsynth.models.diffusion.control import Control
from flowsynth.models.diffusion.schedulers import SCHEDULERS, make_scheduler
from flowsynth.models.families.sd.denoise import DenoiseInputs, denoise
from flowsynth.models.families.sd.options import SdDenoiseOptions
from flowsynth.models.requests import DenoiseSettings
from tests.tiny import VAE_FACTOR, tiny_sd

# Some of diffusers' schedulers mix numpy and torch in ways that numpy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")

SIZE = 32
LATENT = SIZE // VAE_FACTOR
STEPS = 3
NEEDS_MORE_PACKAGES = {"dpmpp_sde", "dpmpp_sde_karras"}


@functools.lru_cache(maxsize=1)
def base() -> Any:
    pipe = StableDiffusionPipeline.from_pretrained(
        tiny_sd() / "base", safety_checker=None, local_files_only=True
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


@functools.lru_cache(maxsize=2)
def controlnet(name: str) -> Any:
    return ControlNetModel.from_pretrained(tiny_sd() / f"controlnet_{name}", local_files_only=True)


@functools.lru_cache(maxsize=1)
def motion() -> Any:
    return MotionAdapter.from_pretrained(tiny_sd() / "motion_adapter", local_files_only=True)


def build(cls: Any, name: str | None = None, **extra: Any) -> Any:
    """A pipeline called by hand: the base's modules and a scheduler of its own."""
    parts = {**base().components, "scheduler": scheduler(name), **extra}
    if cls in (AnimateDiffPipeline, AnimateDiffVideoToVideoPipeline, AnimateDiffControlNetPipeline):
        parts = {k: v for k, v in parts.items() if k != "safety_checker"}
    else:
        parts["requires_safety_checker"] = False
    pipe = cls(**parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def scheduler(name: str | None = None) -> Any:
    return make_scheduler(name, base().scheduler.config)


def embeds() -> tuple[torch.Tensor, torch.Tensor]:
    found: tuple[torch.Tensor, torch.Tensor] = base().encode_prompt("a red cat", "cpu", 1, True, "bad blurry")
    return found


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(frames: int, seed: int, channels: int = 3, size: int = SIZE) -> torch.Tensor:
    return torch.rand(frames, channels, size, size, generator=generator(seed))


def to_pil(images: torch.Tensor) -> list[Image.Image]:
    return [Image.fromarray(i.permute(1, 2, 0).mul(255).round().byte().numpy()) for i in images]


def control(name: str, images: torch.Tensor, **kwargs: Any) -> Control:
    return Control(controlnet(name), lambda start, stop: images[start:stop], **kwargs)


def ours(unet: Any = None, frames: int = 1, name: str | None = None, **kwargs: Any) -> torch.Tensor:
    prompt, negative = embeds()
    inputs = {k: kwargs.pop(k) for k in ("init", "controls") if k in kwargs}
    own = {"noise": "independent"} | {k: kwargs.pop(k) for k in SdDenoiseOptions.model_fields if k in kwargs}
    settings = {"num_inference_steps": STEPS, "guidance_scale": 7.0, "seed": 3, **kwargs}
    return denoise(
        DenoiseInputs(
            unet if unet is not None else base().unet,
            scheduler(name),
            (frames, 4, LATENT, LATENT),
            prompt,
            negative,
            **inputs,
        ),
        DenoiseSettings(**settings),
        options=SdDenoiseOptions(**own),
    )


def theirs(pipe: Any, **kwargs: Any) -> torch.Tensor:
    prompt, negative = embeds()
    call = {"num_inference_steps": STEPS, "guidance_scale": 7.0, "generator": generator(), **kwargs}
    out = pipe(prompt_embeds=prompt, negative_prompt_embeds=negative, output_type="latent", **call)
    result: torch.Tensor = out.images if hasattr(out, "images") else out.frames
    return result[0].transpose(0, 1) if result.ndim == 5 else result


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    assert a.isfinite().all()
    assert a.std() > 0
    return torch.equal(a, b)


@pytest.mark.sample(7)
@pytest.mark.parametrize("name", sorted(set(SCHEDULERS) - NEEDS_MORE_PACKAGES))
def test_text_to_image_equals_the_pipeline_under_every_scheduler(name: str) -> None:
    pipe = build(StableDiffusionPipeline, name)
    assert same(ours(name=name), theirs(pipe, height=SIZE, width=SIZE))


@pytest.mark.sample(6)
@pytest.mark.parametrize("name", sorted(set(SCHEDULERS) - NEEDS_MORE_PACKAGES - {"ipndm"}))
def test_image_to_image_equals_the_pipeline_under_every_scheduler(name: str) -> None:
    init = torch.randn(1, 4, LATENT, LATENT, generator=generator(8))
    pipe = build(StableDiffusionImg2ImgPipeline, name)
    assert same(ours(name=name, init=init, strength=0.6), theirs(pipe, image=init, strength=0.6))


@pytest.mark.parametrize("guidance_scale", [1.0, 4.0])
@pytest.mark.parametrize("rescale", [0.0, 0.7])
def test_guidance_equals_the_pipeline(guidance_scale: float, rescale: float) -> None:
    pipe = build(StableDiffusionPipeline)
    expected = theirs(pipe, height=SIZE, width=SIZE, guidance_scale=guidance_scale, guidance_rescale=rescale)
    assert same(ours(guidance_scale=guidance_scale, guidance_rescale=rescale), expected)


def test_eta_reaches_ddim() -> None:
    pipe = build(StableDiffusionPipeline, "ddim")
    result = ours(name="ddim", eta=0.8)
    assert same(result, theirs(pipe, height=SIZE, width=SIZE, eta=0.8))
    assert not torch.equal(result, ours(name="ddim"))


def test_a_batch_of_frames_equals_a_batch_of_images() -> None:
    pipe = build(StableDiffusionPipeline, "euler_a")
    expected = theirs(pipe, height=SIZE, width=SIZE, num_images_per_prompt=3)
    assert same(ours(frames=3, name="euler_a"), expected)


def test_shared_noise_equals_generators_of_one_seed() -> None:
    pipe = build(StableDiffusionPipeline, "euler_a")
    many = [generator() for _ in range(3)]
    expected = theirs(pipe, height=SIZE, width=SIZE, num_images_per_prompt=3, generator=many)
    result = ours(frames=3, name="euler_a", noise="auto")
    assert same(result, expected)
    assert torch.allclose(result[0], result[2], atol=1e-4)


def test_seeds_a_frame_equal_a_list_of_generators() -> None:
    pipe = build(StableDiffusionPipeline)
    many = [generator(s) for s in (1, 2)]
    expected = theirs(pipe, height=SIZE, width=SIZE, num_images_per_prompt=2, generator=many)
    assert same(ours(frames=2, seed=(1, 2)), expected)


def test_controlnet_equals_the_pipeline() -> None:
    image = pictures(1, 1)
    pipe = build(StableDiffusionControlNetPipeline, controlnet=controlnet("lines"))
    result = ours(controls=[control("lines", image, scale=0.7)])
    assert same(result, theirs(pipe, image=image, controlnet_conditioning_scale=0.7))
    assert not torch.equal(result, ours())


def test_two_controlnets_with_starts_and_ends_equal_the_pipeline() -> None:
    lines, tile = pictures(1, 1), pictures(1, 2)
    pipe = build(StableDiffusionControlNetPipeline, controlnet=[controlnet("lines"), controlnet("tile")])
    expected = theirs(
        pipe,
        image=[lines, tile],
        controlnet_conditioning_scale=[0.5, 0.8],
        control_guidance_start=[0.0, 0.3],
        control_guidance_end=[0.6, 1.0],
    )
    controls = [control("lines", lines, scale=0.5, end=0.6), control("tile", tile, scale=0.8, start=0.3)]
    assert same(ours(controls=controls), expected)


def test_controlnet_image_to_image_equals_the_pipeline() -> None:
    image, init = pictures(1, 1), torch.randn(1, 4, LATENT, LATENT, generator=generator(8))
    pipe = build(StableDiffusionControlNetImg2ImgPipeline, controlnet=controlnet("tile"))
    expected = theirs(
        pipe, image=init, control_image=image, strength=0.8, controlnet_conditioning_scale=1.0,
        height=SIZE, width=SIZE,
    )  # fmt: skip
    assert same(ours(init=init, strength=0.8, controls=[control("tile", image)]), expected)


@pytest.mark.sample(2)
@pytest.mark.parametrize("name", ["ddim", "euler", "euler_a", "dpmpp_2m", "lcm"])
def test_animatediff_equals_the_pipeline(name: str) -> None:
    pipe = build(AnimateDiffPipeline, name, motion_adapter=motion())
    expected = theirs(pipe, num_frames=5, height=SIZE, width=SIZE)
    result = ours(pipe.unet, frames=5, name=name, noise="auto")
    assert same(result, expected)
    assert not torch.equal(result[0], result[1])


def test_animatediff_with_two_controlnets_equals_the_pipeline() -> None:
    lines, tile = (pictures(5, s).mul(255).round().div(255) for s in (1, 2))
    pipe = build(
        AnimateDiffControlNetPipeline,
        motion_adapter=motion(),
        controlnet=[controlnet("lines"), controlnet("tile")],
    )
    expected = theirs(
        pipe,
        num_frames=5,
        conditioning_frames=[to_pil(lines), to_pil(tile)],
        controlnet_conditioning_scale=[0.5, 0.5],
        height=SIZE,
        width=SIZE,
    )
    controls = [control("lines", lines, scale=0.5), control("tile", tile, scale=0.5)]
    assert same(ours(pipe.unet, frames=5, controls=controls), expected)


def test_animatediff_with_one_controlnet_equals_the_pipeline() -> None:
    lines = pictures(4, 1).mul(255).round().div(255)
    pipe = build(AnimateDiffControlNetPipeline, motion_adapter=motion(), controlnet=controlnet("lines"))
    video = to_pil(lines)
    expected = theirs(pipe, num_frames=4, conditioning_frames=video, height=SIZE, width=SIZE)
    assert same(ours(pipe.unet, frames=4, controls=[control("lines", lines)]), expected)


def test_animatediff_video_to_video_equals_the_pipeline() -> None:
    pipe = build(AnimateDiffVideoToVideoPipeline, motion_adapter=motion())
    video = pictures(5, 4)
    with torch.no_grad():
        moments = pipe.vae.encode(video * 2 - 1)
    init = moments.latent_dist.mode() * pipe.vae.config.scaling_factor
    pipe.encode_video = lambda video, gen, size: moments.latent_dist.mode()
    expected = theirs(pipe, video=video[None], strength=0.6, height=SIZE, width=SIZE)
    assert same(ours(pipe.unet, frames=5, init=init, strength=0.6), expected)


def test_a_lora_equals_the_pipeline() -> None:
    pipe = StableDiffusionPipeline.from_pretrained(
        tiny_sd() / "base", safety_checker=None, local_files_only=True
    )
    pipe.set_progress_bar_config(disable=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe.load_lora_weights(
            tiny_sd() / "lora", weight_name="pytorch_lora_weights.safetensors", adapter_name="style"
        )
    pipe.set_adapters(["style"], [0.8])
    result = ours(pipe.unet)
    assert same(result, theirs(pipe, height=SIZE, width=SIZE))
    assert not torch.equal(result, ours())


def test_a_distilled_unet_takes_its_guidance_as_an_embedding() -> None:
    unet = type(base().unet).from_config(base().unet.config, time_cond_proj_dim=32).eval()
    pipe = build(StableDiffusionPipeline, "lcm", unet=unet)
    assert isinstance(pipe.scheduler, LCMScheduler)
    assert same(ours(unet, name="lcm"), theirs(pipe, height=SIZE, width=SIZE))
