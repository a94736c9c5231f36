"""A generator as a graph declares it: one checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from flowsynth.models.checkpoints import checkpoint_of
from flowsynth.models.options import Options
from flowsynth.models.spec import ModelSpec


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
        return checkpoint_of(self.source, self.weight_name, offline=offline)


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
