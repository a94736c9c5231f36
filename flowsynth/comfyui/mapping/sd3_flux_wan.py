"""Nodes of single kinds of models: inpainting UNets, SD3, Flux, Wan, LTX-Video, HunyuanVideo, SVD."""

from __future__ import annotations

from dataclasses import replace

from flowsynth.comfyui.mapping.errors import CannotMapError
from flowsynth.comfyui.mapping.images import alpha_of
from flowsynth.comfyui.mapping.site import Site
from flowsynth.comfyui.mapping.table import Mapper, Outputs, Table, node
from flowsynth.comfyui.mapping.text import said
from flowsynth.comfyui.mapping.values import (
    Area,
    Clip,
    Cond,
    Edge,
    Picture,
    Room,
    Vae,
    Words,
)  # fmt: skip
from flowsynth.core.canonical import Json


def inpaint(site: Site) -> Outputs:
    """A picture and a mask that the denoiser itself sees."""
    picture, vae = site.need("pixels", Picture), site.need("vae", Vae)
    mask = alpha_of(site, site.need("mask", Area))
    room = Room(picture.width, picture.height, 1, picture=picture.edge, vae=vae, mask=mask, whole=True)
    return site.need("positive", Cond), site.need("negative", Cond), room


def instruct(site: Site) -> Outputs:
    """A picture that the denoiser itself sees (InstructPix2Pix; Flux's for edges and depth)."""
    picture, vae = site.need("pixels", Picture), site.need("vae", Vae)
    room = Room(picture.width, picture.height, 1, picture=picture.edge, vae=vae, whole=True)
    return site.need("positive", Cond), site.need("negative", Cond), room


def _fitted(site: Site, port: str, width: int, height: int) -> Edge:
    """A picture cut to the size of a clip; empty where none is given."""
    picture = site.maybe(port, Picture)
    if picture is None:
        return ""
    if (picture.width, picture.height) == (width, height):
        return picture.edge
    box: dict[str, Json] = {"width": width, "height": height, "mode": "fill", "method": "bicubic"}
    return site.add("resize", {"frames": picture.edge}, box, name="fitted")


def _sizes(site: Site, frames: str = "length") -> tuple[int, int, int]:
    return site.whole("width", 832), site.whole("height", 480), site.whole(frames, 81)


def _clip(site: Site, kind: str, pictures: dict[str, Edge], frames: str = "length") -> Room:
    width, height, count = _sizes(site, frames)
    given = tuple((port, edge) for port, edge in pictures.items() if edge)
    return Room(width, height, site.whole("batch_size", 1), count, kind=kind, pictures=given)


def picture_to_clip(kind: str, image: str, last: str = "") -> Mapper:
    """A clip that begins with a picture, and may end with one."""

    def run(site: Site) -> Outputs:
        width, height, _ = _sizes(site)
        pictures = {"image": _fitted(site, image, width, height)}
        if last:
            pictures["last_image"] = _fitted(site, last, width, height)
        return site.need("positive", Cond), site.maybe("negative", Cond), _clip(site, kind, pictures)

    return run


def hunyuan_clip(site: Site) -> Outputs:
    """HunyuanVideo's clip that begins with a picture."""
    width, height, _ = _sizes(site)
    room = _clip(site, "hunyuan_video", {"image": _fitted(site, "start_image", width, height)})
    return site.need("positive", Cond), room


def hunyuan_text(site: Site) -> Outputs:
    """A prompt that is read beside a picture; the pipeline does so itself."""
    return (said(Words(site.need("clip", Clip), site.text("prompt"))),)


def wan_latent(site: Site) -> Outputs:
    """Wan 2.2's small model: a clip that may begin with a picture."""
    width, height, _ = _sizes(site)
    return (_clip(site, "wan22", {"image": _fitted(site, "start_image", width, height)}),)


def wan_vace(site: Site) -> Outputs:
    """A clip that follows another one, or shows what a picture shows."""
    width, height, _ = _sizes(site)
    mask = site.maybe("control_masks", Area)
    if site.number("strength", 1) != 1:
        raise CannotMapError("strength: expected 1, which is the pipeline's own")
    pictures = {
        "video": _fitted(site, "control_video", width, height),
        "mask": "" if mask is None else alpha_of(site, mask),
        "reference": _fitted(site, "reference_image", width, height),
    }
    room = _clip(site, "wan_vace", pictures)
    return site.need("positive", Cond), site.need("negative", Cond), room, 0


def svd(site: Site) -> Outputs:
    """A picture that moves, told how fast and how much."""
    width, height, count = _sizes(site, "video_frames")
    picture = _fitted(site, "init_image", width, height)
    told: tuple[tuple[str, Json], ...] = (
        ("motion_bucket_id", site.whole("motion_bucket_id", 127)),
        ("fps", site.whole("fps", 6)),
        ("noise_aug_strength", site.number("augmentation_level")),
    )
    nothing = said(Words(Clip(()), ""))
    positive = replace(nothing, options=told)
    return positive, nothing, Room(width, height, 1, count, kind="svd", pictures=(("image", picture),))


def rated(site: Site) -> Outputs:
    """Frames a second that LTX-Video is told."""
    rate: tuple[tuple[str, Json], ...] = (("frame_rate", site.whole("frame_rate", 25)),)
    positive = site.need("positive", Cond)
    told = tuple(item for item in positive.options if item[0] != "frame_rate")
    return replace(positive, options=(*told, *rate)), site.maybe("negative", Cond)


def compressed(site: Site) -> Outputs:
    """A picture with a codec's noise, which LTX-Video was trained on; it is taken as it is."""
    site.note("the compression of the picture is left out: it only adds a codec's noise")
    return (site.need("image", Picture),)


TABLE: Table = {
    "InpaintModelConditioning": node(inpaint, "noise_mask"),
    "InstructPixToPixConditioning": node(instruct),
    "WanImageToVideo": node(picture_to_clip("wan_i2v", "start_image"), "width height length batch_size"),
    "WanFirstLastFrameToVideo": node(
        picture_to_clip("wan_i2v", "start_image", "end_image"), "width height length batch_size"
    ),
    "Wan22ImageToVideoLatent": node(wan_latent, "width height length batch_size"),
    "WanVaceToVideo": node(wan_vace, "width height length batch_size strength"),
    "HunyuanImageToVideo": node(hunyuan_clip, "width height length batch_size guidance_type"),
    "TextEncodeHunyuanVideo_ImageToVideo": node(hunyuan_text, "prompt image_interleave"),
    "LTXVImgToVideo": node(picture_to_clip("ltx", "image"), "width height length batch_size strength"),
    "LTXVConditioning": node(rated, "frame_rate"),
    "LTXVPreprocess": node(compressed, "img_compression"),
    "SVD_img2vid_Conditioning": node(
        svd, "width height video_frames motion_bucket_id fps augmentation_level"
    ),
    "CosmosImageToVideoLatent": node(
        lambda site: (_clip(site, "cosmos", {"image": _fitted(site, "start_image", *_sizes(site)[:2])}),),
        "width height length batch_size",
    ),
    "CosmosPredict2ImageToVideoLatent": node(
        lambda site: (_clip(site, "cosmos2", {"image": _fitted(site, "start_image", *_sizes(site)[:2])}),),
        "width height length batch_size",
    ),
}
