"""A generator as a graph declares it: one checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from flowsynth.core.errors import InputError, listing
from flowsynth.models.locate import locate
from flowsynth.models.options import Options
from flowsynth.models.spec import ModelSpec

_ENDINGS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")


class GanSpec(ModelSpec):
    """A checkpoint of BigGAN-deep, StyleGAN2, pix2pix or SPADE, in one file; which it is its tensors say."""

    family: Literal["gan"] = "gan"
    weight_name: str | None = Field(
        default=None, description="file inside the folder, where it holds several"
    )

    def checkpoint(self, *, offline: bool = True) -> Path:
        """The file.

        Raises:
            InputError: there is none, or there are several to choose from.
        """
        place = locate(self.source, offline=offline)
        if place.is_file():
            return place
        if self.weight_name is not None:
            if "/" in self.weight_name or not (place / self.weight_name).is_file():
                raise InputError(f"{place}: no file {self.weight_name!r}; expected {_files_text(place)}")
            return place / self.weight_name
        files = _files(place)
        if len(files) != 1:
            raise InputError(f"{place}: expected one checkpoint, or weight_name; found {_files_text(place)}")
        return files[0]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in _ENDINGS)


def _files_text(folder: Path) -> str:
    return listing([path.name for path in _files(folder)]) or f"no file that ends in {listing(_ENDINGS)}"


class GanOptions(Options):
    """What generators leave open."""

    truncation: float = Field(
        default=0.7,
        ge=0,
        le=1,
        description="BigGAN, StyleGAN2 (psi): how far from the mean; less is surer, more alike",
    )
    noise: Literal["stored", "random"] = Field(
        default="stored", description="StyleGAN2: fine detail as the file keeps it, or by the seed"
    )
    dropout: bool = Field(default=True, description="pix2pix: drop channels by the seed, as the paper does")
