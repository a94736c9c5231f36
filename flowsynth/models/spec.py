"""A model as a graph declares it: family, source and how to load it."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from flowsynth.fetch.source import Source

DtypeName: TypeAlias = Literal["auto", "float32", "float16", "bfloat16"]


class Redraw(BaseModel):
    """How graphs use a model to draw, unless told otherwise; nothing loaded depends on it.

    Graphs read it from the configuration (``${oc.select:model.redraw.take,whole}``); here it is checked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    take: Literal["whole", "detail"] = Field(
        "whole", description="its pictures as they are, or only their detail, laid onto a guide"
    )
    scale: float = Field(1.0, gt=0, le=1, description="size at which it draws, of the result's")
    steps: int = Field(10, ge=1, le=1000, description="of the scheduler, of which strength * steps run")
    strength: float = Field(1.0, ge=0, le=1, description="share of noise on what is redrawn")
    guidance_scale: float = Field(7.0, ge=0, description="classifier-free guidance")
    frames: int = Field(1, ge=1, description="of the shortest clip that it draws well")


class ModelSpec(BaseModel):
    """What every family's spec has. Families add their own fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    family: str = Field(description="name of the model family")
    source: Source = Field(description="folder, single file, hub model or shipped:pocket")
    dtype: DtypeName = Field("auto", description="auto is float16 on CUDA, else float32")
    redraw: Redraw = Field(default_factory=Redraw, description="how graphs use it to draw")
