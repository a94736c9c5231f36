"""A VideoGPT as a graph declares it: one checkpoint, and what its tensors do not tell."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from flowsynth.models.checkpoints import checkpoint_of
from flowsynth.models.options import Options
from flowsynth.models.spec import ModelSpec


class VideoGptSpec(ModelSpec):
    """A checkpoint of VideoGPT with its VQ-VAE inside, in one file."""

    family: Literal["videogpt"] = "videogpt"
    weight_name: str | None = Field(
        default=None, description="file inside the folder, where it holds several"
    )
    heads: int = Field(default=4, ge=1, description="of the transformer; its trainer's --heads")
    strides: tuple[int, int, int] | None = Field(
        default=None,
        description="frames, height and width of a code: its trainer's --downsample; as the tensors tell, "
        "else the widest",
    )
    fps: float = Field(default=10.0, gt=0, le=240, description="frames a second of what it was trained on")

    @field_validator("strides")
    @classmethod
    def _powers(cls, value: tuple[int, int, int] | None) -> tuple[int, int, int] | None:
        if value is not None and any(stride < 1 or stride & (stride - 1) for stride in value):
            raise ValueError("expected powers of two")
        return value

    def checkpoint(self, *, offline: bool = True) -> Path:
        """The file.

        Raises:
            InputError: there is none, or there are several to choose from.
        """
        return checkpoint_of(self.source, self.weight_name, offline=offline)


class VideoGptOptions(Options):
    """How a code is chosen."""

    temperature: float = Field(
        default=1.0, ge=0, le=10, description="less is surer, more alike; 0 takes the likeliest code"
    )
    top_k: int | None = Field(default=None, ge=1, description="only of so many that are the likeliest")
