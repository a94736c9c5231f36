"""Which checkpoint a single file is: told by the names of its tensors, off its header, without torch.

Known are Stable Diffusion 1.x, 2.x and XL, plain, for inpainting and for instructions, and XL's refiner; of
the others it is said what they look like, and what they need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from flowsynth.core.errors import InputError
from flowsynth.core.filehash import file_stamp
from flowsynth.models.diffusion.single_file.networks import (
    Config,
    Shapes,
    added_sizes,
    below,
    clip_config,
    heads_by_width,
    open_clip_config,
    unet_config,
    vae_config,
)
from flowsynth.models.diffusion.single_file.others import looks_like
from flowsynth.models.weights import tensor_shapes

_UNET, _VAE = "model.diffusion_model.", "first_stage_model."
_CLIP, _OPEN_CLIP = "cond_stage_model.transformer.", "cond_stage_model.model."
_XL_CLIP, _XL_OPEN_CLIP = "conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."
_REFINER = "conditioner.embedders.0.model."
_CLIP_TABLE, _OPEN_CLIP_TABLE = "text_model.embeddings.token_embedding.weight", "token_embedding.weight"
#: Tokens of CLIP's vocabulary: a table of another length was made for another tokenizer.
CLIP_WORDS = 49408
#: Channels of a UNet's input -> what a pipeline of that class is called after its stem.
_KINDS = {4: "", 9: "Inpaint", 8: "InstructPix2Pix"}
_SD, _XL = "StableDiffusion", "StableDiffusionXL"
#: What mark of a file says that its noise has a schedule which is not known here.
_OTHER_NOISE = ("edm_mean", "edm_vpred.sigma_max")
#: Every CLIP tokenizer is one of these by what it fills a prompt up with.
END_PAD, MARK_PAD = "<|endoftext|>", "!"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a single file holds.

    Attributes:
        kind: what it is called.
        pipeline: diffusers' class of its pipeline.
        configs: configurations by part; a tokenizer's says only its ``pad_token``.
        constants: of the pipeline.
    """

    kind: str
    pipeline: str
    configs: Mapping[str, Config]
    constants: Mapping[str, Any] = field(default_factory=dict)


def checkpoint_of(file: Path) -> Checkpoint:
    """What a single file is.

    Raises:
        InputError: a file that does not show what it is, or of another architecture.
    """
    return _checkpoint(file, file_stamp(file))


@lru_cache(maxsize=8)
def _checkpoint(file: Path, _stamp: str) -> Checkpoint:
    shapes = tensor_shapes(file) if file.suffix == ".safetensors" else {}
    for table, read in _READERS.items():
        if shapes.get(table, ())[:1] == (CLIP_WORDS,) and f"{_UNET}input_blocks.0.0.weight" in shapes:
            try:
                found = read(file, shapes)
            except (KeyError, IndexError) as error:
                what = (
                    f"lacks {error.args[0]}" if isinstance(error, KeyError) else "has tensors of odd shapes"
                )
                raise InputError(f"{file}: a damaged checkpoint; it {what}") from None
            if found is not None:
                return found
    raise InputError(
        f"{file}: a single file needs config: a local diffusers folder that describes it, unless it is a"
        f" safetensors checkpoint of Stable Diffusion 1.x, 2.x or XL; {looks_like(file, shapes)}"
    )


def _version_1(file: Path, shapes: Shapes) -> Checkpoint | None:
    unet = unet_config(below(shapes, _UNET), 64)
    if unet is None or unet["in_channels"] not in _KINDS:
        return None
    configs = {
        "unet": {**unet, "attention_head_dim": 8},
        "text_encoder": clip_config(below(shapes, _CLIP)),
        "tokenizer": {"pad_token": END_PAD},
        "scheduler": _pndm("epsilon"),
    }
    return _sd(file, shapes, "Stable Diffusion 1.x", configs)


def _version_2(file: Path, shapes: Shapes) -> Checkpoint | None:
    unet = unet_config(below(shapes, _UNET), 64)
    if unet is None or unet["in_channels"] not in _KINDS or f"{_UNET}label_emb.0.0.weight" in shapes:
        return None
    text = open_clip_config(below(shapes, _OPEN_CLIP), projected=False)
    configs = {
        "unet": {**unet, "attention_head_dim": heads_by_width(unet)},
        # The last layer is there, but Stable Diffusion 2.x was trained on the one before it.
        "text_encoder": {**text, "num_hidden_layers": text["num_hidden_layers"] - 1},
        "tokenizer": {"pad_token": MARK_PAD},
        "scheduler": _pndm(""),
    }
    return _sd(file, shapes, "Stable Diffusion 2.x", configs)


def _sd(file: Path, shapes: Shapes, kind: str, configs: dict[str, Config]) -> Checkpoint:
    configs["vae"] = _vae(file, shapes, 0.18215, 512)
    name = _KINDS[configs["unet"]["in_channels"]]
    pipeline = f"{_SD}{name}Pipeline"
    return Checkpoint(_named(kind, name), pipeline, configs, {"requires_safety_checker": False})


def _xl(file: Path, shapes: Shapes) -> Checkpoint | None:
    own = below(shapes, _UNET)
    unet = unet_config(own, 128)
    if unet is None or unet["in_channels"] not in _KINDS or "label_emb.0.0.weight" not in own:
        return None
    configs = {
        "unet": {**unet, "attention_head_dim": heads_by_width(unet), **added_sizes(own)},
        "vae": {**_vae(file, shapes, 0.13025, 1024), "force_upcast": True},
        "text_encoder": clip_config(below(shapes, _XL_CLIP)),
        "text_encoder_2": open_clip_config(below(shapes, _XL_OPEN_CLIP), projected=True),
        "tokenizer": {"pad_token": END_PAD},
        "tokenizer_2": {"pad_token": MARK_PAD},
        "scheduler": _euler(file, shapes),
    }
    name = _KINDS[unet["in_channels"]]
    return Checkpoint(
        _named("SDXL", name), f"{_XL}{name}Pipeline", configs, {"force_zeros_for_empty_prompt": True}
    )


def _refiner(file: Path, shapes: Shapes) -> Checkpoint | None:
    own = below(shapes, _UNET)
    unet = unet_config(own, 128)
    if unet is None or "label_emb.0.0.weight" not in own:
        return None
    configs = {
        "unet": {**unet, "attention_head_dim": heads_by_width(unet), **added_sizes(own)},
        "vae": {**_vae(file, shapes, 0.13025, 1024), "force_upcast": True},
        "text_encoder_2": open_clip_config(below(shapes, _REFINER), projected=True),
        "tokenizer_2": {"pad_token": MARK_PAD},
        "scheduler": _euler(file, shapes),
    }
    constants = {"force_zeros_for_empty_prompt": False, "requires_aesthetics_score": True}
    return Checkpoint("SDXL's refiner", f"{_XL}Img2ImgPipeline", configs, constants)


#: The table of tokens that only one architecture has -> how its files are read.
_READERS: dict[str, Callable[[Path, Shapes], Checkpoint | None]] = {
    f"{_CLIP}{_CLIP_TABLE}": _version_1,
    f"{_OPEN_CLIP}{_OPEN_CLIP_TABLE}": _version_2,
    f"{_XL_OPEN_CLIP}{_OPEN_CLIP_TABLE}": _xl,
    f"{_REFINER}{_OPEN_CLIP_TABLE}": _refiner,
}


def _named(kind: str, name: str) -> str:
    return f"{kind} for {'inpainting' if name == 'Inpaint' else 'instructions'}" if name else kind


def _vae(file: Path, shapes: Shapes, scaling: float, sample_size: int) -> Config:
    config = vae_config(below(shapes, _VAE), scaling, sample_size)
    if config is None:
        raise InputError(f"{file}: holds no VAE; give one, and config: a local diffusers folder")
    return config


_NOISE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
_COUNTED = {"num_train_timesteps": 1000, "skip_prk_steps": True, "set_alpha_to_one": False}


def _pndm(prediction: str) -> Config:
    """PNDM on the schedule that Stable Diffusion was trained with."""
    said = {"prediction_type": prediction} if prediction else {}
    return {"_class_name": "PNDMScheduler", **_NOISE, **_COUNTED, "steps_offset": 1, **said}


def _euler(file: Path, shapes: Shapes) -> Config:
    """Euler's method on the same schedule, as SDXL comes with; files of others carry marks of theirs.

    Raises:
        InputError: a mark of a schedule that is not known here.
    """
    if strange := [mark for mark in _OTHER_NOISE if mark in shapes]:
        raise InputError(
            f"{file}: an SDXL that was trained on another noise ({strange[0]}); it needs config: the local"
            " diffusers folder of the model that it was made from"
        )
    common = {"_class_name": "EulerDiscreteScheduler", **_NOISE, **_COUNTED}
    if "v_pred" in shapes:  # with `ztsnr` noise goes all the way (arXiv 2305.08891)
        zero = "ztsnr" in shapes
        return {
            **common,
            "prediction_type": "v_prediction",
            "rescale_betas_zero_snr": zero,
            "timestep_spacing": "trailing" if zero else "leading",
            "steps_offset": 0 if zero else 1,
        }
    return {**common, "prediction_type": "epsilon", "timestep_spacing": "leading", "steps_offset": 1}
