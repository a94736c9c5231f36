"""More tiny pipelines: one of each row that a configuration is shipped for."""

from __future__ import annotations

from typing import Any

import diffusers as d

from tests.models.families.diffusers.zoo.case import case
from tests.models.families.diffusers.zoo.clips import GUIDED, SHORT, TWO_STEPS, WAN, animate_parts, wan_parts
from tests.models.families.diffusers.zoo.parts import (
    chatglm,
    clip_text,
    clip_tokenizer,
    clip_vision,
    ddim,
    flow,
    kl_vae,
    qwen_causal,
    t5,
)
from tests.models.families.diffusers.zoo.pictures import sdxl_parts, unet

CLIP = {"height": 16, "width": 16, "num_frames": 4}


@case("AnimateDiffSDXLPipeline", text=GUIDED, settings=TWO_STEPS, size=CLIP)
def animate_diff_xl() -> Any:
    parts = {**animate_parts(), **sdxl_parts()}
    return d.AnimateDiffSDXLPipeline(**{**parts, "scheduler": ddim()})


@case(
    "AnimateDiffSparseControlNetPipeline",
    text=GUIDED,
    settings=TWO_STEPS,
    size=CLIP,
    frames={"control": 2},
    options={"controlnet_frame_indices": [0, 3]},
)
def sparse_control() -> Any:
    net = d.SparseControlNetModel(
        block_out_channels=(8, 16),
        layers_per_block=1,
        in_channels=4,
        conditioning_channels=4,
        down_block_types=("DownBlockMotion", "CrossAttnDownBlockMotion"),
        cross_attention_dim=32,
        conditioning_embedding_out_channels=(8, 8),
        attention_head_dim=4,
        norm_num_groups=4,
        use_simplified_condition_embedding=True,
    )
    return d.AnimateDiffSparseControlNetPipeline(**animate_parts(), controlnet=net)


@case(
    "WanAnimatePipeline",
    text=SHORT,
    settings={"num_inference_steps": 2, "guidance_scale": 1.0},
    size={"height": 16, "width": 16},
    frames={"image": 1, "pose": 5, "face": 5},
    options={"segment_frame_length": 5, "prev_segment_conditioning_frames": 1},
)
def wan_animate() -> Any:
    encoder, processor = clip_vision(4, 4, 1)
    parts = wan_parts()
    parts.pop("transformer_2")
    net = d.WanAnimateTransformer3DModel(
        **{**WAN, "in_channels": 36},
        latent_channels=16,
        image_dim=4,
        motion_encoder_channel_sizes={"4": 16, "8": 16, "16": 16},
        motion_encoder_size=16,
        motion_style_dim=8,
        motion_dim=4,
        motion_encoder_dim=16,
        face_encoder_hidden_dim=16,
        face_encoder_num_heads=2,
        inject_face_latents_blocks=2,
    )
    return d.WanAnimatePipeline(
        **{**parts, "transformer": net}, image_encoder=encoder, image_processor=processor
    )


@case(
    "Flux2KleinPipeline",
    text={"prompt": "a red cat", "max_sequence_length": 64, "text_encoder_out_layers": [1]},
    settings={"num_inference_steps": 2, "guidance_scale": 4.0},
    size={"height": 16, "width": 16},
)
def flux2_klein() -> Any:
    encoder, tokenizer = qwen_causal()
    net = d.Flux2Transformer2DModel(
        patch_size=1,
        in_channels=4,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        timestep_guidance_channels=256,
        axes_dims_rope=[4, 4, 4, 4],
        guidance_embeds=False,
    )
    vae = d.AutoencoderKLFlux2(
        sample_size=32,
        down_block_types=("DownEncoderBlock2D",),
        up_block_types=("UpDecoderBlock2D",),
        block_out_channels=(4,),
        layers_per_block=1,
        latent_channels=1,
        norm_num_groups=1,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )
    return d.Flux2KleinPipeline(
        scheduler=flow(), text_encoder=encoder, tokenizer=tokenizer, transformer=net, vae=vae
    )


@case("Kandinsky3Pipeline", text=GUIDED, settings=TWO_STEPS, size={"height": 64, "width": 64})
def kandinsky3() -> Any:
    encoder, tokenizer = t5()
    net = d.Kandinsky3UNet(
        in_channels=4,
        time_embedding_dim=4,
        groups=2,
        attention_head_dim=4,
        layers_per_block=3,
        block_out_channels=(32, 64),
        cross_attention_dim=4,
        encoder_hid_dim=32,
    )
    movq = d.VQModel(
        block_out_channels=[32, 64],
        down_block_types=["DownEncoderBlock2D", "AttnDownEncoderBlock2D"],
        up_block_types=["AttnUpDecoderBlock2D", "UpDecoderBlock2D"],
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=8,
        norm_type="spatial",
        num_vq_embeddings=12,
        vq_embed_dim=4,
    )
    return d.Kandinsky3Pipeline(
        unet=net, movq=movq, text_encoder=encoder, tokenizer=tokenizer, scheduler=d.DDPMScheduler()
    )


@case("StableUnCLIPImg2ImgPipeline", text=GUIDED, settings=TWO_STEPS, frames={"image": 1})
def unclip_from_picture() -> Any:
    from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import (
        StableUnCLIPImageNormalizer,
    )

    encoder, processor = clip_vision(32, 32, 8)
    net = unet(
        class_embed_type="projection",
        projection_class_embeddings_input_dim=64,
        use_linear_projection=True,
        attention_head_dim=(2, 4),
    )
    return d.StableUnCLIPImg2ImgPipeline(
        feature_extractor=processor,
        image_encoder=encoder,
        image_normalizer=StableUnCLIPImageNormalizer(embedding_dim=32),
        image_noising_scheduler=d.DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
        tokenizer=clip_tokenizer(),
        text_encoder=clip_text(),
        unet=net,
        scheduler=ddim(),
        vae=kl_vae(),
    )


@case("KolorsPipeline", text=GUIDED, settings=TWO_STEPS)
def kolors() -> Any:
    encoder, tokenizer = chatglm()
    net = unet(
        4,
        8,
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 1),
        projection_class_embeddings_input_dim=56,
    )
    parts = {"unet": net, "vae": kl_vae(), "text_encoder": encoder, "tokenizer": tokenizer}
    return d.KolorsPipeline(**parts, scheduler=d.EulerDiscreteScheduler(beta_schedule="scaled_linear"))
