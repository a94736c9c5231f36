"""A model as a graph declares it: family, source and how to load it."""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import Self

from flowsynth.core.devices import auto_precision
from flowsynth.fetch.source import Source

DtypeName: TypeAlias = Literal["auto", "float32", "float16", "bfloat16"]
DTYPE_TEXT = "of the networks; auto is float16 on a GPU, bfloat16 on a CPU made for it, else float32"


class Redraw(BaseModel):
    """How graphs use a model to draw, unless told otherwise; nothing loaded depends on it.

    Graphs read it from the configuration (``${oc.select:model.redraw.take,whole}``); here it is checked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    take: Literal["whole", "detail"] = Field(
        default="whole", description="its pictures as they are, or only their detail, laid onto a guide"
    )
    scale: float = Field(default=1.0, gt=0, le=1, description="size at which it draws, of the result's")
    steps: int = Field(
        default=10, ge=1, le=1000, description="of the scheduler, of which strength * steps run"
    )
    strength: float = Field(default=1.0, ge=0, le=1, description="share of noise on what is redrawn")
    guidance_scale: float = Field(default=7.0, ge=0, description="classifier-free guidance")
    frames: int = Field(default=1, ge=1, description="of the shortest clip that it draws well")


#: Bytes of a number, by the name of its dtype; ``auto`` counts as the largest.
ITEM_BYTES = {"auto": 4, "float32": 4, "float16": 2, "bfloat16": 2}


class Draw(BaseModel):
    """What graphs that draw from nothing but words and pictures ask of a model, unless told otherwise.

    Graphs read it from the configuration (``${oc.select:model.draw.width,1024}``); here it is checked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(default=1024, ge=8, description="of a picture, pixels")
    height: int = Field(default=1024, ge=8, description="of a picture, pixels")
    frames: int = Field(default=1, ge=1, description="of a clip")
    fps: float = Field(default=16, gt=0, description="of a clip, frames a second")
    scale: float = Field(default=1, gt=0, le=16, description="enlargement of what it draws")
    steps: int | None = Field(
        default=None, ge=1, le=1000, description="of the scheduler; null is the model's own"
    )
    guidance_scale: float | None = Field(default=None, ge=0, description="guidance; null is the model's own")


class ModelSpec(BaseModel):
    """What every family's spec has. Families add their own fields.

    Attributes:
        half_on_cpu: whether the family's networks were found to be as good in bfloat16 and quicker on a CPU
            that has it; else ``dtype: auto`` is float32 there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    half_on_cpu: ClassVar[bool] = False

    family: str = Field(description="name of the model family")
    source: Source = Field(description="folder, single file, hub model or shipped:pocket")
    dtype: DtypeName = Field(default="auto", description=DTYPE_TEXT)
    redraw: Redraw = Field(default_factory=Redraw, description="how graphs use it to draw")
    draw: Draw = Field(default_factory=Draw, description="what graphs ask of it that draw from words")

    def on(self, device: str) -> Self:
        """Itself with what ``auto`` stands for on a device: what is loaded there, and what identifies it.

        Args:
            device: a node's, or torch's name of it.
        """
        if self.dtype != "auto":
            return self
        found = auto_precision(device, half_on_cpu=self.half_on_cpu)
        return self.model_copy(update={"dtype": found})
