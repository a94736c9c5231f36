"""Latents of the training pictures, encoded once by the finished autoencoder."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from flowsynth.training.captions import style_caption
from flowsynth.training.styled import VERSIONS, StyledPicture, to_pixels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from diffusers import AutoencoderKL
    from torch import Tensor

    from flowsynth.training.pictures import Picture
    from flowsynth.training.shapes import Drawing


@torch.no_grad()
def normalise(vae: AutoencoderKL, pictures: list[Picture]) -> AutoencoderKL:
    """Returns a copy whose latents have mean 0 and deviation 1 in every channel.

    The affine map is folded into the 1x1 convolutions beside the latents, so that decoded pictures stay
    the same and ``scaling_factor`` is 1.

    Args:
        vae: A trained autoencoder with ``quant_conv`` and ``post_quant_conv``.
        pictures: uint8 HWC pictures to measure on.
    """
    vae = copy.deepcopy(vae).eval()
    means = torch.cat([encode(vae, p[None]).flatten(2)[0] for p in pictures], 1)
    centre, spread = means.mean(1), means.std(1)
    channels = len(centre)
    before, after = vae.quant_conv, vae.post_quant_conv
    before.weight[:channels] /= spread[:, None, None, None]
    before.bias[:channels] = (before.bias[:channels] - centre) / spread
    before.bias[channels:] -= 2 * spread.log()  # the other half holds log variances
    after.bias += after.weight[:, :, 0, 0] @ centre
    after.weight *= spread[None, :, None, None]
    return vae


@torch.no_grad()
def encode(vae: AutoencoderKL, pictures: Picture) -> Tensor:
    """Encodes uint8 NHWC pictures (sides multiples of 4) to latent means (N, C, H/4, W/4), float32."""
    pixels = torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.autocast("cpu", torch.bfloat16):
        mode = vae.encode(pixels).latent_dist.mode()
    return torch.as_tensor(mode).float()


def fingerprint(vae: AutoencoderKL) -> str:
    """Returns a short hash of an autoencoder's weights."""
    digest = hashlib.sha256()
    for tensor in vae.state_dict().values():
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


@dataclass(frozen=True)
class Batch:
    """Pixels, latents and captions of one training step.

    Attributes:
        target: Latents to reach, (B, C, h, w).
        start: Latents that noise is added to: the target itself, or on the way from the photo to it.
        pixels: Picture that the target is of, (B, 3, 4h, 4w) in [0, 1].
        tile: Picture for the tile control, same shape.
        lines: Picture for the line control, same shape.
        captions: One text for each row.
        drawings: What the last rows are drawings of.
        hints: What the captions say of these.
        determined: Which of these are told by caption or control, (drawings,).
    """

    target: Tensor
    start: Tensor
    pixels: Tensor
    tile: Tensor
    lines: Tensor
    captions: list[str]
    drawings: Sequence[Drawing] = ()
    hints: Sequence[Drawing] = ()
    determined: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.bool))


class StyleData:
    """Random crops of the styled pictures with their latents."""

    def __init__(
        self, vae: AutoencoderKL, styled: list[StyledPicture], subjects: list[str], cache: Path | None = None
    ) -> None:
        self.vae, self.cache = vae, cache
        # Every second picture is mirrored: twice the arrangements at no cost.
        self.styled = [s if i % 2 else _mirror(s) for i, s in enumerate(styled)]
        self.subjects = subjects

    @cached_property
    def latents(self) -> list[Tensor]:
        """Latents of all versions of each picture, (5, C, h, w) in float16; kept on disk if asked."""
        stored = self.cache and self.cache / f"latents-{self._identity()}.safetensors"
        if stored and stored.exists():
            tensors = load_file(stored)
            return [tensors[str(index)] for index in range(len(tensors))]
        made = [
            torch.cat([encode(self.vae, v[None]) for v in s.versions]).half().contiguous()
            for s in self.styled
        ]
        if stored:
            temporary = stored.with_suffix(".tmp")
            save_file({str(index): latents for index, latents in enumerate(made)}, temporary)
            temporary.replace(stored)
        return made

    def _identity(self) -> str:
        """Hashes the pictures and the weights that encode them."""
        digest = hashlib.sha256(fingerprint(self.vae).encode())
        for made in self.styled:
            digest.update(np.ascontiguousarray(made.versions).tobytes())
        return digest.hexdigest()[:12]

    def batch(
        self,
        count: int,
        side: int,
        rng: np.random.Generator,
        bridge: float,
        restyled: float,
        versions: Sequence[str] = VERSIONS,
    ) -> Batch:
        """Returns crops of ``side`` latents.

        Args:
            count: Rows.
            side: Side in latents.
            rng: Source of randomness.
            bridge: Share of rows that start between the photo and the target.
            restyled: Share of rows whose tile shows the photo, so that the caption alone tells the style; in
                the others it shows the target, as the colour guide of graphs does.
            versions: What is asked for; a style that is said twice comes twice as often.
        """
        rows = [self._row(side, rng, bridge, restyled, versions) for _ in range(count)]
        target, start, pixels, tile, lines, captions = zip(*rows, strict=True)
        return Batch(
            torch.stack(target),
            torch.stack(start),
            to_pixels(np.stack(pixels)),
            to_pixels(np.stack(tile)),
            to_pixels(np.stack(lines)),
            list(captions),
        )

    def pairs(self, count: int, side: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Returns random crops of any version as (pixels in [0, 1], latents)."""
        pixels, latents = [], []
        for _ in range(count):
            index, style = int(rng.integers(len(self.styled))), int(rng.integers(len(VERSIONS)))
            rows, columns = _window(self.latents[index], side, rng)
            latents.append(self.latents[index][style, :, rows, columns].float())
            pixels.append(self.styled[index].versions[style, _times4(rows), _times4(columns)])
        return to_pixels(np.stack(pixels)), torch.stack(latents)

    def _row(
        self, side: int, rng: np.random.Generator, bridge: float, restyled: float, versions: Sequence[str]
    ) -> tuple[Tensor, Tensor, Picture, Picture, Picture, str]:
        index = int(rng.integers(len(self.styled)))
        latents, made = self.latents[index], self.styled[index]
        rows, columns = _window(latents, side, rng)
        style = VERSIONS.index(versions[int(rng.integers(len(versions)))])
        target = latents[style, :, rows, columns].float()
        source = latents[0, :, rows, columns].float()
        way = float(rng.random()) if rng.random() < bridge else 1.0
        pixel_rows, pixel_columns = _times4(rows), _times4(columns)
        shown = 0 if rng.random() < restyled else style
        tile = _soften(made.versions[shown, pixel_rows, pixel_columns], rng)
        lines = np.repeat(made.lines[pixel_rows, pixel_columns, None], 3, axis=2)
        caption = style_caption(VERSIONS[style], self.subjects[index], rng)
        pixels = made.versions[style, pixel_rows, pixel_columns]
        return target, torch.lerp(source, target, way), pixels, tile, lines, caption


def _window(latents: Tensor, side: int, rng: np.random.Generator) -> tuple[slice, slice]:
    top = int(rng.integers(latents.shape[2] - side + 1))
    left = int(rng.integers(latents.shape[3] - side + 1))
    return slice(top, top + side), slice(left, left + side)


def _times4(window: slice) -> slice:
    return slice(4 * window.start, 4 * window.stop)


def _mirror(made: StyledPicture) -> StyledPicture:
    return StyledPicture(made.versions[:, :, ::-1], made.lines[:, ::-1])


def _soften(crop: Picture, rng: np.random.Generator) -> Picture:
    """Sometimes reduces and enlarges a tile, so that detail isn't always there to copy."""
    if rng.random() < 0.7:
        return crop
    factor = 2 if rng.random() < 0.6 else 4
    height, width, _ = crop.shape
    small = crop.reshape(height // factor, factor, width // factor, factor, 3).mean((1, 3))
    large = small.repeat(factor, 0).repeat(factor, 1)
    return np.asarray(large, np.uint8)
