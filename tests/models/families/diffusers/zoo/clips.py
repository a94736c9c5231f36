"""Tiny pipelines that make clips."""

from __future__ import annotations

from typing import Any

import diffusers as d

from tests.models.families.diffusers.zoo.case import case
from tests.models.families.diffusers.zoo.parts import (
    clip_text,
    clip_tokenizer,
    clip_vision,
    ddim,
    flow,
    kl_vae,
    llama,
    t5,
    wan_vae,
)
from tests.models.families.diffusers.zoo.pictures import unet

GUIDED = {"prompt": "a red cat", "negative_prompt": "bad"}
TWO_STEPS = {"num_inference_steps": 2, "guidance_scale": 5.0}
SHORT = {**GUIDED, "max_sequence_length": 16}
SMALL = {"height": 16, "width": 16, "num_frames": 9}


def animate_parts() -> dict[str, Any]:
    adapter = d.MotionAdapter(
        block_out_channels=(8, 16),
        motion_layers_per_block=1,
        motion_norm_num_groups=4,
        motion_num_attention_heads=2,
    )
    return {
        "unet": unet(),
        "vae": kl_vae(),
        "text_encoder": clip_text(),
        "tokenizer": clip_tokenizer(),
        "scheduler": ddim(),
        "motion_adapter": adapter,
    }


@case(
    "AnimateDiffPipeline", text=GUIDED, settings=TWO_STEPS, size={"height": 16, "width": 16, "num_frames": 4}
)
def animate_diff() -> Any:
    return d.AnimateDiffPipeline(**animate_parts())


@case(
    "AnimateDiffVideoToVideoPipeline",
    text=GUIDED,
    settings={"num_inference_steps": 4, "guidance_scale": 5.0, "strength": 0.5},
    size={"height": 16, "width": 16},
    frames={"video": 4},
)
def animate_diff_from_clip() -> Any:
    return d.AnimateDiffVideoToVideoPipeline(**animate_parts())


@case(
    "StableVideoDiffusionPipeline",
    text=None,
    settings={"num_inference_steps": 2},
    size={"height": 32, "width": 32, "num_frames": 3},
    frames={"image": 1},
    options={"motion_bucket_id": 60, "max_guidance_scale": 2.5},
)
def stable_video_diffusion() -> Any:
    encoder, processor = clip_vision(32, 224, 56)
    net = d.UNetSpatioTemporalConditionModel(
        block_out_channels=(32, 64),
        layers_per_block=1,
        sample_size=16,
        in_channels=8,
        out_channels=4,
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
        cross_attention_dim=32,
        num_attention_heads=4,
        projection_class_embeddings_input_dim=96,
        addition_time_embed_dim=32,
    )
    scheduler = d.EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        sigma_max=700.0,
        sigma_min=0.002,
        timestep_type="continuous",
        use_karras_sigmas=True,
    )
    vae = d.AutoencoderKLTemporalDecoder(
        block_out_channels=[32, 64],
        down_block_types=["DownEncoderBlock2D", "DownEncoderBlock2D"],
        latent_channels=4,
    )
    return d.StableVideoDiffusionPipeline(
        unet=net, vae=vae, scheduler=scheduler, image_encoder=encoder, feature_extractor=processor
    )


def cogvideo_parts(channels: int = 4, *, rotary: bool = False) -> dict[str, Any]:
    encoder, tokenizer = t5()
    net = d.CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=channels,
        out_channels=4,
        time_embed_dim=2,
        text_embed_dim=32,
        num_layers=1,
        sample_width=2,
        sample_height=2,
        sample_frames=9,
        patch_size=2,
        temporal_compression_ratio=4,
        max_text_seq_length=16,
        use_rotary_positional_embeddings=rotary,
        use_learned_positional_embeddings=rotary,
    )
    vae = d.AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        temporal_compression_ratio=4,
    )
    return {
        "transformer": net,
        "vae": vae,
        "scheduler": d.DDIMScheduler(),
        "text_encoder": encoder,
        "tokenizer": tokenizer,
    }


@case("CogVideoXPipeline", text=SHORT, settings=TWO_STEPS, size=SMALL)
def cogvideo() -> Any:
    return d.CogVideoXPipeline(**cogvideo_parts())


@case("CogVideoXImageToVideoPipeline", text=SHORT, settings=TWO_STEPS, size=SMALL, frames={"image": 1})
def cogvideo_from_picture() -> Any:
    return d.CogVideoXImageToVideoPipeline(**cogvideo_parts(8, rotary=True))


@case(
    "CogVideoXVideoToVideoPipeline",
    text=SHORT,
    settings={"num_inference_steps": 4, "guidance_scale": 5.0, "strength": 0.5},
    size={"height": 16, "width": 16},
    frames={"video": 9},
)
def cogvideo_from_clip() -> Any:
    return d.CogVideoXVideoToVideoPipeline(**cogvideo_parts())


#: What the tiny networks of Wan and of those that were made of it have in common.
WAN: dict[str, Any] = {
    "patch_size": (1, 2, 2),
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "in_channels": 16,
    "out_channels": 16,
    "text_dim": 32,
    "freq_dim": 256,
    "ffn_dim": 32,
    "num_layers": 2,
    "cross_attn_norm": True,
    "qk_norm": "rms_norm_across_heads",
    "rope_max_seq_len": 32,
}


def wan_parts(channels: int = 16, **config: Any) -> dict[str, Any]:
    encoder, tokenizer = t5()
    net = d.WanTransformer3DModel(**{**WAN, "in_channels": channels, **config})
    return {
        "transformer": net,
        "transformer_2": None,
        "vae": wan_vae(),
        "scheduler": flow(shift=7.0),
        "text_encoder": encoder,
        "tokenizer": tokenizer,
    }


@case("WanPipeline", text=SHORT, settings=TWO_STEPS, size=SMALL)
def wan() -> Any:
    return d.WanPipeline(**wan_parts())


@case("WanImageToVideoPipeline", text=SHORT, settings=TWO_STEPS, size=SMALL, frames={"image": 1})
def wan_from_picture() -> Any:
    encoder, processor = clip_vision(4, 32, 8)
    return d.WanImageToVideoPipeline(
        **wan_parts(36, image_dim=4), image_encoder=encoder, image_processor=processor
    )


@case(
    "WanVideoToVideoPipeline",
    text=SHORT,
    settings={"num_inference_steps": 4, "guidance_scale": 5.0, "strength": 0.5},
    size={"height": 16, "width": 16},
    frames={"video": 9},
)
def wan_from_clip() -> Any:
    parts = wan_parts()
    parts.pop("transformer_2")
    scheduler = d.UniPCMultistepScheduler(
        flow_shift=3.0, use_flow_sigmas=True, prediction_type="flow_prediction"
    )
    return d.WanVideoToVideoPipeline(**{**parts, "scheduler": scheduler})


@case("WanVACEPipeline", text=SHORT, settings=TWO_STEPS, size=SMALL, frames={"video": 9, "mask": 9})
def wan_vace() -> Any:
    parts = wan_parts()
    parts["transformer"] = d.WanVACETransformer3DModel(
        **{**WAN, "num_layers": 3}, vace_layers=[0, 2], vace_in_channels=96
    )
    return d.WanVACEPipeline(**parts)


@case("SkyReelsV2Pipeline", text=SHORT, settings=TWO_STEPS, size=SMALL)
def skyreels() -> Any:
    encoder, tokenizer = t5()
    net = d.SkyReelsV2Transformer3DModel(**WAN)
    scheduler = d.UniPCMultistepScheduler(flow_shift=8.0, use_flow_sigmas=True)
    return d.SkyReelsV2Pipeline(
        transformer=net, vae=wan_vae(), scheduler=scheduler, text_encoder=encoder, tokenizer=tokenizer
    )


def ltx_parts() -> dict[str, Any]:
    encoder, tokenizer = t5()
    net = d.LTXVideoTransformer3DModel(
        in_channels=8,
        out_channels=8,
        patch_size=1,
        patch_size_t=1,
        num_attention_heads=4,
        attention_head_dim=8,
        cross_attention_dim=32,
        num_layers=1,
        caption_channels=32,
    )
    vae = d.AutoencoderKLLTXVideo(
        latent_channels=8,
        block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1, 1),
        spatio_temporal_scaling=(True, True, False, False),
        decoder_spatio_temporal_scaling=(True, True, False, False),
        decoder_inject_noise=(False,) * 5,
        upsample_residual=(False,) * 4,
        upsample_factor=(1, 1, 1, 1),
        timestep_conditioning=False,
        patch_size=1,
        patch_size_t=1,
        encoder_causal=True,
        decoder_causal=False,
    )
    return {
        "transformer": net,
        "vae": vae,
        "scheduler": flow(),
        "text_encoder": encoder,
        "tokenizer": tokenizer,
    }


LTX = {"height": 32, "width": 32, "num_frames": 9}


@case("LTXPipeline", text=SHORT, settings=TWO_STEPS, size=LTX)
def ltx() -> Any:
    return d.LTXPipeline(**ltx_parts())


@case("LTXImageToVideoPipeline", text=SHORT, settings=TWO_STEPS, size=LTX, frames={"image": 1})
def ltx_from_picture() -> Any:
    return d.LTXImageToVideoPipeline(**ltx_parts())


@case("LattePipeline", text=GUIDED, settings=TWO_STEPS, size={"height": 16, "width": 16, "num_frames": 4})
def latte() -> Any:
    encoder, tokenizer = t5()
    net = d.LatteTransformer3DModel(
        sample_size=8,
        video_length=4,
        num_layers=1,
        patch_size=2,
        attention_head_dim=8,
        num_attention_heads=3,
        caption_channels=32,
        in_channels=4,
        cross_attention_dim=24,
        out_channels=8,
        attention_bias=True,
        activation_fn="gelu-approximate",
        num_embeds_ada_norm=1000,
        norm_type="ada_norm_single",
        norm_elementwise_affine=False,
        norm_eps=1e-6,
    )
    return d.LattePipeline(
        transformer=net, vae=kl_vae(), scheduler=ddim(), text_encoder=encoder, tokenizer=tokenizer
    )


@case("MochiPipeline", text=SHORT, settings=TWO_STEPS, size={"height": 16, "width": 16, "num_frames": 7})
def mochi() -> Any:
    encoder, tokenizer = t5()
    net = d.MochiTransformer3DModel(
        patch_size=2,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=2,
        pooled_projection_dim=16,
        in_channels=12,
        qk_norm="rms_norm",
        text_embed_dim=32,
        time_embed_dim=4,
        activation_fn="swiglu",
        max_sequence_length=16,
    )
    vae = d.AutoencoderKLMochi(
        latent_channels=12,
        out_channels=3,
        encoder_block_out_channels=(32, 32, 32, 32),
        decoder_block_out_channels=(32, 32, 32, 32),
        layers_per_block=(1, 1, 1, 1, 1),
    )
    return d.MochiPipeline(
        transformer=net, vae=vae, scheduler=flow(), text_encoder=encoder, tokenizer=tokenizer
    )


@case(
    "HunyuanVideoPipeline",
    text={
        "prompt": "a red cat",
        "max_sequence_length": 16,
        "prompt_template": {"template": "{}", "crop_start": 0},
    },
    settings={"num_inference_steps": 2, "guidance_scale": 4.5},
    size=SMALL,
)
def hunyuan_video() -> Any:
    encoder, tokenizer = llama()
    net = d.HunyuanVideoTransformer3DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=10,
        num_layers=1,
        num_single_layers=1,
        num_refiner_layers=1,
        patch_size=1,
        patch_size_t=1,
        guidance_embeds=True,
        text_embed_dim=16,
        pooled_projection_dim=8,
        rope_axes_dim=(2, 4, 4),
    )
    vae = d.AutoencoderKLHunyuanVideo(
        latent_channels=4,
        down_block_types=("HunyuanVideoDownBlock3D",) * 4,
        up_block_types=("HunyuanVideoUpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        norm_num_groups=4,
        scaling_factor=0.476986,
        spatial_compression_ratio=8,
        temporal_compression_ratio=4,
    )
    return d.HunyuanVideoPipeline(
        transformer=net,
        vae=vae,
        scheduler=flow(shift=7.0),
        text_encoder=encoder,
        tokenizer=tokenizer,
        text_encoder_2=clip_text(width=8),
        tokenizer_2=clip_tokenizer(),
    )
