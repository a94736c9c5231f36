"""Tiny pipelines that make pictures."""

from __future__ import annotations

from typing import Any

import diffusers as d

from tests.models.families.diffusers.zoo.case import CASES, Case, case
from tests.models.families.diffusers.zoo.parts import (
    bert,
    clip_text,
    clip_tokenizer,
    ddim,
    flow,
    flow_vae,
    gemma,
    kl_vae,
    qwen,
    qwen_vl,
    t5,
)

GUIDED = {"prompt": "a red cat", "negative_prompt": "bad"}
TWO_STEPS = {"num_inference_steps": 2, "guidance_scale": 5.0}
FROM_PICTURE = {"num_inference_steps": 4, "guidance_scale": 5.0, "strength": 0.6}


def unet(channels: int = 4, width: int = 32, **config: Any) -> Any:
    given = {
        "block_out_channels": (8, 16),
        "layers_per_block": 1,
        "sample_size": 16,
        "in_channels": channels,
        "out_channels": 4,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "attention_head_dim": 4,
        "cross_attention_dim": width,
        "norm_num_groups": 4,
    }
    return d.UNet2DConditionModel(**(given | config))


def sd_parts(channels: int = 4) -> dict[str, Any]:
    return {
        "unet": unet(channels),
        "vae": kl_vae(),
        "text_encoder": clip_text(),
        "tokenizer": clip_tokenizer(),
        "scheduler": ddim(),
        "safety_checker": None,
        "feature_extractor": None,
    }


@case("StableDiffusionPipeline", text=GUIDED, settings=TWO_STEPS)
def stable_diffusion() -> Any:
    return d.StableDiffusionPipeline(**sd_parts())


@case("StableDiffusionImg2ImgPipeline", text=GUIDED, settings=FROM_PICTURE, frames={"image": 1})
def stable_diffusion_from_picture() -> Any:
    return d.StableDiffusionImg2ImgPipeline(**sd_parts())


@case("StableDiffusionInpaintPipeline", text=GUIDED, settings=TWO_STEPS, frames={"image": 1, "mask": 1})
def stable_diffusion_inpaint() -> Any:
    return d.StableDiffusionInpaintPipeline(**sd_parts(9))


@case(
    "StableDiffusionInstructPix2PixPipeline",
    text=GUIDED,
    settings=TWO_STEPS,
    frames={"image": 1},
    options={"image_guidance_scale": 1.5},
)
def instruct_pix2pix() -> Any:
    return d.StableDiffusionInstructPix2PixPipeline(**sd_parts(8))


@case("StableDiffusionControlNetPipeline", text=GUIDED, settings=TWO_STEPS, frames={"control": 1})
def stable_diffusion_control() -> Any:
    parts = sd_parts()
    net = d.ControlNetModel.from_unet(parts["unet"], conditioning_embedding_out_channels=(4, 8))
    return d.StableDiffusionControlNetPipeline(**parts, controlnet=net)


def sdxl_parts(channels: int = 4) -> dict[str, Any]:
    net = unet(
        channels,
        64,
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 1),
        projection_class_embeddings_input_dim=80,
    )
    return {
        "unet": net,
        "vae": kl_vae(),
        "text_encoder": clip_text(hidden_act="gelu"),
        "text_encoder_2": clip_text(projection=True, hidden_act="gelu"),
        "tokenizer": clip_tokenizer(),
        "tokenizer_2": clip_tokenizer(),
        "scheduler": d.EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"
        ),
    }


@case("StableDiffusionXLPipeline", text={**GUIDED, "prompt_2": "a dog"}, settings=TWO_STEPS)
def sdxl() -> Any:
    return d.StableDiffusionXLPipeline(**sdxl_parts())


@case("StableDiffusionXLImg2ImgPipeline", text=GUIDED, settings=FROM_PICTURE, frames={"image": 1})
def sdxl_from_picture() -> Any:
    parts = sdxl_parts()
    parts["unet"] = unet(
        4,
        64,
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 1),
        projection_class_embeddings_input_dim=72,
    )
    return d.StableDiffusionXLImg2ImgPipeline(**parts, requires_aesthetics_score=True)


@case("StableDiffusionXLInpaintPipeline", text=GUIDED, settings=FROM_PICTURE, frames={"image": 1, "mask": 1})
def sdxl_inpaint() -> Any:
    return d.StableDiffusionXLInpaintPipeline(**sdxl_parts())


def sd3_parts() -> dict[str, Any]:
    encoder, tokenizer = t5()
    net = d.SD3Transformer2DModel(
        sample_size=16,
        patch_size=1,
        in_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=32,
        joint_attention_dim=32,
        pooled_projection_dim=64,
        out_channels=4,
    )
    return {
        "transformer": net,
        "vae": flow_vae(),
        "scheduler": flow(),
        "text_encoder": clip_text(projection=True),
        "tokenizer": clip_tokenizer(),
        "text_encoder_2": clip_text(projection=True),
        "tokenizer_2": clip_tokenizer(),
        "text_encoder_3": encoder,
        "tokenizer_3": tokenizer,
    }


@case("StableDiffusion3Pipeline", text=GUIDED, settings=TWO_STEPS)
def sd3() -> Any:
    return d.StableDiffusion3Pipeline(**sd3_parts())


@case("StableDiffusion3Img2ImgPipeline", text=GUIDED, settings=FROM_PICTURE, frames={"image": 1})
def sd3_from_picture() -> Any:
    return d.StableDiffusion3Img2ImgPipeline(**sd3_parts())


def flux_parts(channels: int = 16, **config: Any) -> dict[str, Any]:
    encoder, tokenizer = t5()
    net = d.FluxTransformer2DModel(
        patch_size=1,
        in_channels=channels,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=[4, 4, 8],
        **config,
    )
    return {
        "transformer": net,
        "vae": flow_vae(),
        "scheduler": flow(),
        "text_encoder": clip_text(),
        "tokenizer": clip_tokenizer(),
        "text_encoder_2": encoder,
        "tokenizer_2": tokenizer,
    }


FLUX_TEXT = {"prompt": "a red cat", "max_sequence_length": 24}


@case("FluxPipeline", text=FLUX_TEXT)
def flux() -> Any:
    return d.FluxPipeline(**flux_parts(guidance_embeds=True))


@case("FluxImg2ImgPipeline", text=FLUX_TEXT, settings=FROM_PICTURE, frames={"image": 1})
def flux_from_picture() -> Any:
    return d.FluxImg2ImgPipeline(**flux_parts())


@case("FluxFillPipeline", text=FLUX_TEXT, frames={"image": 1, "mask": 1})
def flux_fill() -> Any:
    return d.FluxFillPipeline(**flux_parts(16 * 2 + 2 * 2 * 4, out_channels=16))


@case(
    "FluxKontextPipeline",
    text=FLUX_TEXT,
    frames={"image": 1},
    options={"max_area": 1024, "_auto_resize": False},
)
def flux_kontext() -> Any:
    return d.FluxKontextPipeline(**flux_parts())


@case(
    "FluxControlNetPipeline",
    text=FLUX_TEXT,
    frames={"control": 1},
    settings={"num_inference_steps": 2, "control_scale": 0.5},
)
def flux_control() -> Any:
    net = d.FluxControlNetModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=[4, 4, 8],
    )
    return d.FluxControlNetPipeline(**flux_parts(), controlnet=net)


@case("ChromaPipeline", text={**GUIDED, "max_sequence_length": 24}, settings=TWO_STEPS)
def chroma() -> Any:
    encoder, tokenizer = t5()
    net = d.ChromaTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        axes_dims_rope=[4, 4, 8],
        approximator_hidden_dim=32,
        approximator_layers=1,
        approximator_num_channels=16,
    )
    return d.ChromaPipeline(
        transformer=net, vae=flow_vae(), scheduler=flow(), text_encoder=encoder, tokenizer=tokenizer
    )


@case("PixArtAlphaPipeline", text=GUIDED, settings=TWO_STEPS)
def pixart() -> Any:
    encoder, tokenizer = t5()
    net = d.PixArtTransformer2DModel(
        sample_size=8,
        num_layers=2,
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
    return d.PixArtAlphaPipeline(
        transformer=net, vae=kl_vae(), scheduler=ddim(), text_encoder=encoder, tokenizer=tokenizer
    )


@case("HunyuanDiTPipeline", text=GUIDED, settings=TWO_STEPS, size={"height": 128, "width": 128})
def hunyuan_dit() -> Any:
    (encoder, tokenizer), (encoder_2, tokenizer_2) = bert(), t5()
    net = d.HunyuanDiT2DModel(
        sample_size=16,
        num_layers=2,
        patch_size=2,
        attention_head_dim=8,
        num_attention_heads=3,
        in_channels=4,
        cross_attention_dim=32,
        cross_attention_dim_t5=32,
        pooled_projection_dim=16,
        hidden_size=24,
        activation_fn="gelu-approximate",
    )
    return d.HunyuanDiTPipeline(
        transformer=net,
        vae=kl_vae(levels=4),
        scheduler=d.DDPMScheduler(),
        text_encoder=encoder,
        tokenizer=tokenizer,
        text_encoder_2=encoder_2,
        tokenizer_2=tokenizer_2,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


@case("AuraFlowPipeline", text={**GUIDED, "max_sequence_length": 24}, settings=TWO_STEPS)
def aura_flow() -> Any:
    from transformers import UMT5Config, UMT5EncoderModel

    _, tokenizer = t5()
    encoder = UMT5EncoderModel(
        UMT5Config(vocab_size=len(tokenizer) + 8, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4)
    )
    net = d.AuraFlowTransformer2DModel(
        sample_size=32,
        patch_size=2,
        in_channels=4,
        num_mmdit_layers=1,
        num_single_dit_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=32,
        joint_attention_dim=32,
        out_channels=4,
        pos_embed_max_size=256,
    )
    return d.AuraFlowPipeline(
        transformer=net, vae=kl_vae(), scheduler=flow(), text_encoder=encoder, tokenizer=tokenizer
    )


@case(
    "SanaPipeline",
    text={**GUIDED, "max_sequence_length": 16, "complex_human_instruction": None},
    settings=TWO_STEPS,
)
def sana() -> Any:
    encoder, tokenizer = gemma()
    net = d.SanaTransformer2DModel(
        patch_size=1,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        num_attention_heads=2,
        attention_head_dim=4,
        num_cross_attention_heads=2,
        cross_attention_head_dim=4,
        cross_attention_dim=8,
        caption_channels=8,
        sample_size=32,
    )
    vae = d.AutoencoderDC(
        in_channels=3,
        latent_channels=4,
        attention_head_dim=2,
        encoder_block_types=("ResBlock", "EfficientViTBlock"),
        decoder_block_types=("ResBlock", "EfficientViTBlock"),
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        encoder_qkv_multiscales=((), (5,)),
        decoder_qkv_multiscales=((), (5,)),
        encoder_layers_per_block=(1, 1),
        decoder_layers_per_block=[1, 1],
        downsample_block_type="conv",
        upsample_block_type="interpolate",
        decoder_norm_types="rms_norm",
        decoder_act_fns="silu",
        scaling_factor=0.41407,
    )
    return d.SanaPipeline(
        transformer=net, vae=vae, scheduler=flow(shift=7.0), text_encoder=encoder, tokenizer=tokenizer
    )


@case("Lumina2Pipeline", text={**GUIDED, "max_sequence_length": 32}, settings=TWO_STEPS)
def lumina2() -> Any:
    encoder, tokenizer = gemma()
    net = d.Lumina2Transformer2DModel(
        sample_size=4,
        patch_size=2,
        in_channels=4,
        hidden_size=8,
        num_layers=2,
        num_attention_heads=1,
        num_kv_heads=1,
        multiple_of=16,
        norm_eps=1e-5,
        scaling_factor=1.0,
        axes_dim_rope=[4, 2, 2],
        cap_feat_dim=8,
    )
    return d.Lumina2Pipeline(
        transformer=net, vae=flow_vae(), scheduler=flow(), text_encoder=encoder, tokenizer=tokenizer
    )


@case(
    "QwenImagePipeline",
    text={**GUIDED, "max_sequence_length": 16},
    settings={"num_inference_steps": 2},
    options={"true_cfg_scale": 3.0},
)
def qwen_image() -> Any:
    encoder, tokenizer = qwen_vl()
    net = d.QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=3,
        joint_attention_dim=16,
        guidance_embeds=False,
        axes_dims_rope=(8, 4, 4),
    )
    vae = d.AutoencoderKLQwenImage(
        base_dim=24,
        z_dim=4,
        dim_mult=[1, 2, 4],
        num_res_blocks=1,
        temperal_downsample=[False, True],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    )
    return d.QwenImagePipeline(
        transformer=net, vae=vae, scheduler=flow(), text_encoder=encoder, tokenizer=tokenizer
    )


@case("ZImagePipeline", text={**GUIDED, "max_sequence_length": 16}, settings=TWO_STEPS)
def z_image() -> Any:
    import torch

    encoder, tokenizer = qwen()
    net = d.ZImageTransformer2DModel(
        all_patch_size=(2,),
        all_f_patch_size=(1,),
        in_channels=16,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        norm_eps=1e-5,
        qk_norm=True,
        cap_feat_dim=16,
        rope_theta=256.0,
        t_scale=1000.0,
        axes_dims=[8, 4, 4],
        axes_lens=[256, 32, 32],
    )
    with torch.no_grad():
        net.x_pad_token.fill_(1)
        net.cap_pad_token.fill_(1)
    return d.ZImagePipeline(
        transformer=net,
        vae=kl_vae(16, scaling_factor=0.3611, shift_factor=0.1159),
        scheduler=flow(),
        text_encoder=encoder,
        tokenizer=tokenizer,
    )


@case("DDIMPipeline", text=None, settings={"num_inference_steps": 2})
def ddim_alone() -> Any:
    net = d.UNet2DModel(
        sample_size=16,
        in_channels=3,
        out_channels=3,
        layers_per_block=1,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=4,
        attention_head_dim=4,
    )
    return d.DDIMPipeline(unet=net, scheduler=d.DDIMScheduler())


CASES["DDPMPipeline"] = Case(
    lambda: d.DDPMPipeline(unet=ddim_alone().unet, scheduler=d.DDPMScheduler()),
    text=None,
    settings={"num_inference_steps": 2},
)


@case("IFPipeline", text=GUIDED, settings=TWO_STEPS)
def deepfloyd_if() -> Any:
    encoder, tokenizer = t5()
    net = unet(
        3,
        32,
        down_block_types=["ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"],
        out_channels=6,
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=["SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"],
        encoder_hid_dim=32,
        attention_head_dim=4,
        addition_embed_type="text",
        addition_embed_type_num_heads=2,
        cross_attention_norm="group_norm",
        resnet_time_scale_shift="scale_shift",
        act_fn="gelu",
    )
    scheduler = d.DDPMScheduler(
        beta_schedule="squaredcos_cap_v2",
        beta_start=0.0001,
        thresholding=True,
        prediction_type="epsilon",
        variance_type="learned_range",
    )
    return d.IFPipeline(
        unet=net,
        scheduler=scheduler,
        text_encoder=encoder,
        tokenizer=tokenizer,
        safety_checker=None,
        feature_extractor=None,
        watermarker=None,
        requires_safety_checker=False,
    )
