"""Pipelines of diffusers' real classes with random weights, in sizes that benchmarks want, and their calls.

Tokenizers are those of the tests, which know few words; what a text encoder costs does not depend on words.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from flowsynth.api import Graph
from flowsynth.operators.diffusion.denoise import Denoise
from flowsynth.operators.diffusion.empty_latents import EmptyLatents
from flowsynth.operators.diffusion.text_encode import TextEncode
from flowsynth.operators.diffusion.vae_decode import VaeDecode
from tests.models.families.diffusers.zoo import clips, pictures
from tests.models.families.diffusers.zoo.case import CASES
from tests.models.families.diffusers.zoo.parts import (
    clip_text,
    clip_tokenizer,
    flow,
    flow_vae,
    kl_vae,
    t5,
    wan_vae,
)

__all__ = ["clips", "pictures"]


@dataclass(frozen=True)
class Subject:
    """A pipeline and a call of it.

    Attributes:
        name: of its class.
        build: makes it, on the device that is torch's default.
        size: of the latents, as `empty_latents` takes it.
        steps: of the scheduler.
        guidance: classifier-free guidance; None takes the class's own.
    """

    name: str
    build: Callable[[], Any]
    size: Mapping[str, int]
    steps: int
    guidance: float | None = None

    def save(self, folder: Path, dtype: torch.dtype, device: str = "cpu") -> None:
        """Write it with random weights, which are drawn on a device: on a GPU 12e9 take no time."""
        from accelerate import init_empty_weights

        torch.manual_seed(0)
        with init_empty_weights():
            pipe = self.build()
        for part in pipe.components.values():
            if isinstance(part, torch.nn.Module):
                _draw(part, dtype, device)
        pipe.save_pretrained(folder)

    def arguments(self, prompt: str, seed: int) -> dict[str, Any]:
        """A call by hand."""
        given: dict[str, Any] = {"prompt": prompt, **self.size, "num_inference_steps": self.steps}
        if self.guidance is not None:
            given["guidance_scale"] = self.guidance
        return {**given, "generator": torch.Generator().manual_seed(seed)}

    def graph(self, folder: Path, prompt: str, seed: int, **spec: Any) -> Graph:
        """The same as a graph."""
        graph = Graph("pipeline")
        model = graph.model("m", {"family": "diffusers", "source": str(folder), **spec})
        text = graph.add("text", TextEncode(prompt=prompt), model=model, cache="always")
        latents = graph.add("size", EmptyLatents(**self.size), model=model)
        node = Denoise(seed=seed, num_inference_steps=self.steps, guidance_scale=self.guidance)
        made = graph.add("denoise", node, model=model, latents=latents, conditioning=text)
        graph.add("frames", VaeDecode(dtype="float32", batch_size=64), model=model, latents=made)
        return graph


def _draw(network: torch.nn.Module, dtype: torch.dtype, device: str) -> None:
    """Give a network without weights some that keep numbers small, whatever its depth."""
    generator = torch.Generator(device).manual_seed(0)
    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            drawn = torch.empty(parameter.shape, dtype=dtype, device=device)
            drawn.normal_(std=0.02, generator=generator)
            module._parameters[name] = torch.nn.Parameter(drawn)


def stable_diffusion(unet: Any) -> Any:
    """Stable Diffusion around a UNet."""
    from diffusers import StableDiffusionPipeline

    return StableDiffusionPipeline(**{**pictures.sd_parts(), "unet": unet})


def sdxl_unet(*widths: int, depth: int, across: int, heads: tuple[int, ...], pooled: int) -> Any:
    """SDXL's UNet, as published but for what is given."""
    from diffusers import UNet2DConditionModel

    plain, crossing = ["DownBlock2D"], ["CrossAttnDownBlock2D"] * (len(widths) - 1)
    up = [name.replace("Down", "Up") for name in reversed(plain + crossing)]
    return UNet2DConditionModel(
        sample_size=128, block_out_channels=widths, down_block_types=plain + crossing, up_block_types=up,
        cross_attention_dim=across, attention_head_dim=heads, use_linear_projection=True,
        transformer_layers_per_block=(1, *(min(2, depth), depth)[-(len(widths) - 1) :]),
        addition_embed_type="text_time", addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=pooled + 6 * 256,
    )  # fmt: skip


def sdxl(unet: Any, first: int, second: int, vae: Any) -> Any:
    """SDXL around a UNet."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

    noise = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    return StableDiffusionXLPipeline(
        unet=unet, vae=vae, text_encoder=clip_text(width=first, hidden_act="gelu"),
        text_encoder_2=clip_text(width=second, projection=True, hidden_act="gelu"),
        tokenizer=clip_tokenizer(), tokenizer_2=clip_tokenizer(), scheduler=EulerDiscreteScheduler(**noise),
    )  # fmt: skip


def flux(layers: int, single: int, heads: int, head: int, width: int, pooled: int, vae: Any) -> Any:
    """Flux with some layers; as published with 19, 38, 24, 128, 4096 and 768."""
    from diffusers import FluxPipeline, FluxTransformer2DModel

    rope = [head // 8, 7 * head // 16, 7 * head // 16]
    net = FluxTransformer2DModel(
        in_channels=4 * vae.config.latent_channels, num_layers=layers, num_single_layers=single,
        attention_head_dim=head, num_attention_heads=heads, joint_attention_dim=width,
        pooled_projection_dim=pooled, guidance_embeds=True, axes_dims_rope=rope,
    )  # fmt: skip
    encoder, tokenizer = t5(width)
    return FluxPipeline(
        transformer=net, vae=vae, scheduler=flow(), text_encoder=clip_text(width=pooled),
        tokenizer=clip_tokenizer(), text_encoder_2=encoder, tokenizer_2=tokenizer,
    )  # fmt: skip


def wan(layers: int, heads: int, head: int, inner: int, width: int, encoder: Any = None) -> Any:
    """Wan's text to video; 1.3B with 30, 12, 128, 8960 and 4096."""
    from diffusers import WanPipeline, WanTransformer3DModel

    net = WanTransformer3DModel(
        num_attention_heads=heads, attention_head_dim=head, ffn_dim=inner, num_layers=layers, text_dim=width
    )
    small, tokenizer = t5(width)
    return WanPipeline(
        transformer=net, vae=wan_vae(), scheduler=flow(shift=3.0), text_encoder=encoder or small,
        tokenizer=tokenizer,
    )  # fmt: skip


def stable_diffusion_unet() -> Any:
    """Stable Diffusion 1.5's UNet, as published."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)


def real_vae(channels: int, **config: Any) -> Any:
    """The autoencoder of SDXL and Flux in its published size."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, layers_per_block=2, latent_channels=channels, **config,
    )  # fmt: skip


#: The smallest there are, for tries.
TINY = tuple(
    Subject(name, CASES[name].build, {"height": 32, "width": 32, **CASES[name].size}, 2)
    for name in ("StableDiffusionXLPipeline", "FluxPipeline", "WanPipeline")
)
#: Pipelines of one to five CPU seconds.
MIDDLING = (
    Subject(
        "StableDiffusionXLPipeline",
        lambda: sdxl(
            sdxl_unet(64, 128, 256, depth=2, across=128, heads=(2, 4, 8), pooled=64), 64, 64, kl_vae(levels=4)
        ),
        {"height": 256, "width": 256},
        6,
        5.0,
    ),
    Subject(
        "FluxPipeline",
        lambda: flux(3, 6, 6, 64, 128, 64, flow_vae(16, levels=4)),
        {"height": 256, "width": 256},
        6,
    ),
    Subject(
        "WanPipeline", lambda: wan(6, 6, 64, 1024, 128), {"height": 64, "width": 64, "num_frames": 17}, 4, 5.0
    ),
    Subject(
        "StableDiffusionPipeline",
        lambda: stable_diffusion(pictures.unet(block_out_channels=(64, 128), norm_num_groups=32)),
        {"height": 64, "width": 64},
        10,
        5.0,
    ),
)
#: Those of published sizes, with text encoders of the right width and next to no depth.
REAL = (
    Subject(
        "StableDiffusionXLPipeline",
        lambda: sdxl(
            sdxl_unet(320, 640, 1280, depth=10, across=2048, heads=(5, 10, 20), pooled=1280), 768, 1280,
            real_vae(4, scaling_factor=0.13025),
        ),
        {"height": 1024, "width": 1024},
        20,
        5.0,
    ),
    Subject(
        "FluxPipeline",
        lambda: flux(19, 38, 24, 128, 4096, 768, real_vae(16, scaling_factor=0.3611, shift_factor=0.1159)),
        {"height": 1024, "width": 1024},
        10,
    ),
    Subject(
        "WanPipeline",
        lambda: wan(30, 12, 128, 8960, 4096),
        {"height": 480, "width": 832, "num_frames": 33},
        10,
        5.0,
    ),
)  # fmt: skip
