"""A model as a graph declares it: family, source and how to load it."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from flowsynth.fetch.source import Source

DtypeName: TypeAlias = Literal["auto", "float32", "float16", "bfloat16"]


class ModelSpec(BaseModel):
    """What every family's spec has. Families add their own fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    family: str = Field(description="name of the model family")
    source: Source = Field(description="folder, single file, hub model or pocket")
    dtype: DtypeName = Field("auto", description="auto is float16 on CUDA, else float32")
