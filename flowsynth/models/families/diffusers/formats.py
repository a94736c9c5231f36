"""What a pipeline's latents look like and which sizes it makes, from its parts' configurations alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from flowsynth.core.errors import InputError
from flowsynth.models.families.diffusers.facts import Facts, facts
from flowsynth.models.families.diffusers.index import part_classes
from flowsynth.models.families.diffusers.spec import DiffusersSpec
from flowsynth.models.latent_format import LatentFormat

Config: TypeAlias = Mapping[str, Any]
#: The space of pipelines that give pixels: `vae_decode` passes them on.
PIXELS = "pixels"


class VaeRule(NamedTuple):
    """How a decoder's class scales.

    Attributes:
        factor: pixels along the side of a latent pixel.
        frames: frames that a latent frame stands for.
        channels: key of the configuration that holds the latents' channels.
        apart: each latent frame is decoded by itself.
    """

    factor: Callable[[Config], int]
    frames: Callable[[Config], int]
    channels: str
    apart: bool = False


def _levels(key: str) -> Callable[[Config], int]:
    return lambda config: 2 ** (len(config[key]) - 1)


def _number(key: str, default: int) -> Callable[[Config], int]:
    return lambda config: int(config.get(key) or default)


def _one(config: Config) -> int:
    del config
    return 1


def _ltx(default: int, blocks: str, patch: str) -> Callable[[Config], int]:
    """LTX states its compression, or it follows from the blocks that shrink and the patch."""
    key = "spatial_compression_ratio" if patch == "patch_size" else "temporal_compression_ratio"

    def ratio(config: Config) -> int:
        if config.get(key):
            return int(config[key])
        shrinking = sum(map(bool, config.get(blocks, ()))) if blocks in config else None
        return default if shrinking is None else int(config.get(patch, 1) * 2**shrinking)

    return ratio


_PICTURES = VaeRule(_levels("block_out_channels"), _one, "latent_channels", apart=True)
#: By class of the part that decodes.
RULES: dict[str, VaeRule] = {
    "AutoencoderKL": _PICTURES,
    "AutoencoderKLFlux2": _PICTURES,
    "AutoencoderTiny": VaeRule(_number("", 8), _one, "latent_channels", apart=True),
    "AsymmetricAutoencoderKL": VaeRule(
        _levels("down_block_out_channels"), _one, "latent_channels", apart=True
    ),
    "VQModel": VaeRule(_levels("block_out_channels"), _one, "latent_channels", apart=True),
    "AutoencoderDC": VaeRule(_levels("encoder_block_out_channels"), _one, "latent_channels", apart=True),
    "AutoencoderKLTemporalDecoder": VaeRule(_levels("block_out_channels"), _one, "latent_channels"),
    "AutoencoderKLQwenImage": VaeRule(lambda c: 2 ** len(c["temperal_downsample"]), _one, "z_dim"),
    "AutoencoderKLWan": VaeRule(
        _number("scale_factor_spatial", 8), _number("scale_factor_temporal", 4), "z_dim"
    ),
    "AutoencoderKLCogVideoX": VaeRule(
        _levels("block_out_channels"),
        lambda c: int(c.get("temporal_compression_ratio", 4)),
        "latent_channels",
    ),
    "AutoencoderKLLTXVideo": VaeRule(
        _ltx(32, "spatio_temporal_scaling", "patch_size"),
        _ltx(8, "spatio_temporal_scaling", "patch_size_t"),
        "latent_channels",
    ),
    "AutoencoderKLLTX2Video": VaeRule(
        _ltx(32, "spatio_temporal_scaling", "patch_size"),
        _ltx(8, "spatio_temporal_scaling", "patch_size_t"),
        "latent_channels",
    ),
    "AutoencoderKLHunyuanVideo": VaeRule(
        _number("spatial_compression_ratio", 8), _number("temporal_compression_ratio", 4), "latent_channels"
    ),
    "AutoencoderKLMochi": VaeRule(_number("", 8), _number("", 6), "latent_channels"),
    "AutoencoderKLAllegro": VaeRule(_number("", 8), _number("", 4), "latent_channels"),
}


def latent_format(spec: DiffusersSpec, *, offline: bool = False) -> LatentFormat:
    """The latents of a pipeline.

    Raises:
        InputError: a configuration is missing, or the decoder's class is not known.
    """
    known = facts(spec.class_name(offline=offline))
    if known.space_is_pixels:
        return LatentFormat(PIXELS, 1, 3)
    kind, config = decoder_config(spec, known, offline=offline)
    rule = RULES.get(kind)
    if rule is None:
        raise InputError(
            f"{known.name}: its decoder is a {kind}, whose sizes are not known here;"
            f" known are {', '.join(RULES)}"
        )
    factor, frames, channels = rule.factor(config), rule.frames(config), int(config[rule.channels])
    return LatentFormat(
        space=f"{kind}/f{factor}t{frames}c{channels}",
        factor=factor,
        channels=channels,
        multiple=factor * _patch(spec, channels, offline=offline),
        frames=frames,
        lone_first=frames > 1,
        together=not rule.apart,
    )


def decoder_config(spec: DiffusersSpec, known: Facts, *, offline: bool = False) -> tuple[str, dict[str, Any]]:
    """Class and configuration of the part that decodes.

    Raises:
        InputError: the pipeline's folder has no such part.
    """
    parts = part_classes(spec.index(offline=offline))
    if known.decoder not in parts:
        raise InputError(f"{known.name}: its folder has no {known.decoder}, which decodes what it makes")
    return parts[known.decoder][1], part_config(spec, known.decoder, offline=offline)


def part_config(spec: DiffusersSpec, name: str, *, offline: bool = False) -> dict[str, Any]:
    """The configuration of a part.

    Raises:
        InputError: missing or damaged.
    """
    return spec.part(name, offline=offline).config()


def _patch(spec: DiffusersSpec, channels: int, *, offline: bool) -> int:
    """Latent pixels that the denoiser takes as one along a side."""
    if "transformer" not in part_classes(spec.index(offline=offline)):
        return 1
    config = part_config(spec, "transformer", offline=offline)
    size = config.get("patch_size", 1)
    if isinstance(size, list):
        size = size[-1]
    # Flux and its kin fold 2 x 2 latent pixels into channels before their transformer, whose patch is 1.
    folded = size == 1 and int(config.get("out_channels") or config.get("in_channels") or 0) == 4 * channels
    return 2 if folded else int(size)
