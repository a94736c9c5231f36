"""Which kind of model a file of weights is, told by its name and by what else a workflow does."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from flowsynth.comfyui.mapping.errors import CannotMapError


@dataclass(frozen=True)
class Arch:
    """A kind of model.

    Attributes:
        name: here.
        family: of models.
        pipelines: diffusers' classes by what is given: ``text``, ``image``, ``inpaint``, ``control``, ...
        conf: the shipped model that holds text encoders, VAE and scheduler; empty where a file does.
        folder: name of a diffusers folder to be put below ``diffusers``, where no shipped model is it.
        denoiser: the part that a file alone takes the place of.
        flow: whether it matches flows instead of predicting noise.
        guidance: name of the option that a classifier-free scale is, where the plain one is distilled.
        clips: whether it makes clips.
        distilled: the scale that a distilled model is told, unless its workflow says so.
    """

    name: str
    family: str = "diffusers"
    pipelines: dict[str, str] = field(default_factory=dict)
    conf: str = ""
    folder: str = ""
    denoiser: str = "transformer"
    flow: bool = True
    guidance: str = ""
    clips: bool = False
    distilled: float | None = None


def _pipes(stem: str, **others: str) -> dict[str, str]:
    return {"text": f"{stem}Pipeline", **{k: f"{stem}{v}Pipeline" for k, v in others.items()}}


_SD = _pipes(
    "StableDiffusion", image="Img2Img", inpaint="Inpaint", control="ControlNet", edit="InstructPix2Pix"
)
_XL = _pipes(
    "StableDiffusionXL",
    image="Img2Img",
    inpaint="Inpaint",
    control="ControlNet",
    edit="InstructPix2Pix",
    control_image="ControlNetImg2Img",
)
_FLUX = _pipes(
    "Flux",
    image="Img2Img",
    inpaint="Inpaint",
    fill="Fill",
    control="ControlNet",
    structure="Control",
    edit="Kontext",
)
ARCHITECTURES: dict[str, Arch] = {
    arch.name: arch
    for arch in (
        Arch("sd1", "sd", _SD, denoiser="unet", flow=False),
        Arch("sd2", "sd", _SD, denoiser="unet", flow=False),
        Arch("sdxl", pipelines=_XL, conf="sdxl", denoiser="unet", flow=False),
        Arch("refiner", pipelines={"image": "StableDiffusionXLImg2ImgPipeline"}, denoiser="unet", flow=False),
        Arch(
            "unclip",
            pipelines={"text": "StableUnCLIPImg2ImgPipeline"},
            folder="stable-diffusion-2-1-unclip",
            denoiser="unet",
            flow=False,
        ),
        Arch(
            "kolors", pipelines=_pipes("Kolors", image="Img2Img"), conf="kolors", denoiser="unet", flow=False
        ),
        Arch(
            "sd3",
            pipelines=_pipes("StableDiffusion3", image="Img2Img", inpaint="Inpaint", control="ControlNet"),
            conf="sd3",
        ),
        Arch("flux", pipelines=_FLUX, conf="flux_dev", guidance="true_cfg_scale", distilled=3.5),
        Arch("schnell", pipelines=_FLUX, conf="flux_schnell", guidance="true_cfg_scale", distilled=0.0),
        Arch(
            "kontext",
            pipelines={**_FLUX, "text": "FluxKontextPipeline"},
            conf="flux_kontext",
            guidance="true_cfg_scale",
            distilled=2.5,
        ),
        Arch("fill", pipelines={**_FLUX, "inpaint": "FluxFillPipeline"}, conf="flux_fill", distilled=30.0),
        Arch("flux2", pipelines={"text": "Flux2Pipeline"}, folder="FLUX.2-dev", distilled=4.0),
        Arch("chroma", pipelines=_pipes("Chroma", image="Img2Img"), folder="Chroma1-HD"),
        Arch("auraflow", pipelines=_pipes("AuraFlow"), folder="AuraFlow-v0.3"),
        Arch("hidream", pipelines={"text": "HiDreamImagePipeline"}, folder="HiDream-I1-Full"),
        Arch("hunyuan_dit", pipelines=_pipes("HunyuanDiT"), conf="hunyuan_dit", flow=False),
        Arch("lumina2", pipelines=_pipes("Lumina2"), folder="Lumina-Image-2.0"),
        Arch(
            "qwen_image",
            pipelines=_pipes("QwenImage", image="Img2Img", inpaint="Inpaint", control="ControlNet"),
            conf="qwen_image",
            guidance="true_cfg_scale",
        ),
        Arch(
            "qwen_edit",
            pipelines={"text": "QwenImageEditPipeline", "edit": "QwenImageEditPipeline"},
            folder="Qwen-Image-Edit",
            guidance="true_cfg_scale",
        ),
        Arch(
            "qwen_edit_plus",
            pipelines={"text": "QwenImageEditPlusPipeline", "edit": "QwenImageEditPlusPipeline"},
            folder="Qwen-Image-Edit-2509",
            guidance="true_cfg_scale",
        ),
        Arch("z_image", pipelines=_pipes("ZImage", image="Img2Img"), conf="z_image"),
        Arch(
            "cosmos",
            pipelines={"text": "CosmosTextToWorldPipeline", "image": "CosmosVideoToWorldPipeline"},
            folder="Cosmos-1.0-Diffusion-7B",
            flow=False,
            clips=True,
        ),
        Arch(
            "cosmos2",
            pipelines={"text": "Cosmos2TextToImagePipeline", "image": "Cosmos2VideoToWorldPipeline"},
            folder="Cosmos-Predict2-2B",
            flow=False,
            clips=True,
        ),
        Arch(
            "hunyuan_video",
            pipelines={"text": "HunyuanVideoPipeline", "image": "HunyuanVideoImageToVideoPipeline"},
            conf="hunyuanvideo",
            clips=True,
            distilled=6.0,
        ),
        Arch("mochi", pipelines=_pipes("Mochi"), folder="mochi-1-preview", clips=True),
        Arch(
            "ltx",
            pipelines={"text": "LTXPipeline", "image": "LTXImageToVideoPipeline"},
            conf="ltx",
            clips=True,
        ),
        Arch(
            "wan",
            pipelines={"text": "WanPipeline", "image": "WanImageToVideoPipeline", "vace": "WanVACEPipeline"},
            conf="wan_t2v",
            clips=True,
        ),
        Arch(
            "wan_i2v",
            pipelines={"text": "WanPipeline", "image": "WanImageToVideoPipeline"},
            conf="wan_i2v",
            clips=True,
        ),
        Arch(
            "wan22",
            pipelines={"text": "WanPipeline", "image": "WanImageToVideoPipeline"},
            conf="wan22_t2v",
            clips=True,
        ),
        Arch(
            "wan_vace",
            pipelines={"text": "WanVACEPipeline", "vace": "WanVACEPipeline"},
            conf="wan_vace",
            clips=True,
        ),
        Arch(
            "svd",
            pipelines={"image": "StableVideoDiffusionPipeline"},
            conf="svd",
            denoiser="unet",
            flow=False,
            clips=True,
        ),
    )
}

#: Patterns of files' names, the first that is found wins.
_NAMES: tuple[tuple[str, str], ...] = (
    (r"refiner", "refiner"),
    (r"unclip", "unclip"),
    (r"svd|stable.?video", "svd"),
    (r"kontext", "kontext"),
    (r"flux.*fill", "fill"),
    (r"flux.?2", "flux2"),
    (r"schnell", "schnell"),
    (r"flux", "flux"),
    (r"chroma", "chroma"),
    (r"aura.?flow", "auraflow"),
    (r"hidream", "hidream"),
    (r"hunyuan.?dit|hydit", "hunyuan_dit"),
    (r"hunyuan.?image", "hunyuan_image"),
    (r"hunyuan", "hunyuan_video"),
    (r"lumina", "lumina2"),
    (r"qwen.?image.?edit.?2509", "qwen_edit_plus"),
    (r"qwen.?image.?edit", "qwen_edit"),
    (r"qwen", "qwen_image"),
    (r"z.?image", "z_image"),
    (r"cosmos.*predict2", "cosmos2"),
    (r"cosmos", "cosmos"),
    (r"mochi", "mochi"),
    (r"ltxv?|ltx-?video", "ltx"),
    (r"wan.*vace", "wan_vace"),
    (r"wan.?2[._]?2", "wan22"),
    (r"wan.*i2v", "wan_i2v"),
    (r"wan", "wan"),
    (r"kolors", "kolors"),
    (r"sd3|stable.?diffusion.?3", "sd3"),
    (r"cascade|stage_[abc]", "cascade"),
    (r"sv3d|zero123", "zero123"),
    (r"omnigen", "omnigen"),
    (r"sd.?xl|xl|pony|illustrious|animagine|playground", "sdxl"),
    (r"768-v|v2-1|sd2|512-base|v2.?1", "sd2"),
)
#: Node classes that only one kind of model is for.
_SIGNS = {
    "CLIPTextEncodeSDXL": "sdxl",
    "CLIPTextEncodeSDXLRefiner": "sdxl",
    "EmptySD3LatentImage": "sd3",
    "SDTurboScheduler": "sdxl",
}
#: Kinds that are told but not imported, with the reason.
_UNSERVED = {
    "cascade": "Stable Cascade runs as two pipelines of diffusers, which no single denoise stands for",
    "zero123": "Stable Zero123 has no pipeline in diffusers",
    "hunyuan_image": "HunyuanImage is guided by an object of its own in diffusers, which takes no scale",
    "omnigen": "OmniGen2 has no pipeline in diffusers 0.42",
}


def arch_of(name: str, hints: Collection[str]) -> Arch:
    """The kind of a denoiser's file.

    Args:
        name: of the file.
        hints: node classes of the workflow, and ``large`` where its pictures have 768 pixels and more.

    Raises:
        CannotMapError: a kind that is known and not served.
    """
    lower = name.lower().replace("\\", "/").rpartition("/")[2]
    for pattern, kind in _NAMES:
        if re.search(pattern, lower):
            return _served(kind)
    for sign, kind in _SIGNS.items():
        if sign in hints:
            return _served(kind)
    return ARCHITECTURES["sdxl" if "large" in hints else "sd1"]


def _served(kind: str) -> Arch:
    if kind in _UNSERVED:
        raise CannotMapError(_UNSERVED[kind])
    return ARCHITECTURES[kind]


def is_inpainting(name: str) -> bool:
    """Whether a checkpoint's name says that its UNet sees mask and picture."""
    return "inpaint" in name.lower()


def is_editing(name: str) -> bool:
    """Whether a checkpoint's name says that its UNet follows instructions (InstructPix2Pix)."""
    return bool(re.search(r"pix2pix|[_-]edit", name.lower()))
