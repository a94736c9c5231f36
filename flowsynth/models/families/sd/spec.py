"""How a Stable Diffusion model is declared, and what identifies it: no torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, field_validator

from flowsynth.fetch.source import Source
from flowsynth.models.diffusion.lora.declared import Lora
from flowsynth.models.diffusion.motion import MotionNorm
from flowsynth.models.diffusion.schedulers import UnknownSchedulerError, resolve_scheduler
from flowsynth.models.spec import ModelSpec


class TextualInversion(BaseModel):
    """A learned word: one or several vectors that stand for a token."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Source = Field(description="folder or file with the embedding")
    token: str | None = Field(default=None, description="the word in prompts; by default the one in the file")
    weight_name: str | None = Field(default=None, description="file inside the folder")


def _known_scheduler(name: str) -> str:
    try:
        resolve_scheduler(name)
    except UnknownSchedulerError as error:
        raise ValueError(str(error)) from None
    return name


class SchedulerChoice(BaseModel):
    """A scheduler by name, with options of its diffusers class."""

    model_config = ConfigDict(frozen=True, extra="allow")

    __pydantic_extra__: dict[str, JsonValue]
    name: Annotated[str, AfterValidator(_known_scheduler)] | None = Field(
        default=None, description="scheduler's name; by default the model's own"
    )

    @property
    def options(self) -> dict[str, Any]:
        """The overrides."""
        return dict(self.__pydantic_extra__ or {})


class SdSpec(ModelSpec):
    """A model of the Stable Diffusion 1.x and 2.x family."""

    half_on_cpu: ClassVar[bool] = True

    family: Literal["sd"] = "sd"
    controlnets: Mapping[str, Source] = Field(
        default_factory=dict, description="ControlNets by name, in the order of the controls"
    )
    motion: Source | None = Field(default=None, description="AnimateDiff motion adapter")
    motion_noise: Literal["independent", "shared"] = Field(
        default="independent", description="what denoise's `noise: auto` is with motion: as it was trained"
    )
    motion_norm: MotionNorm = Field(
        default="clip",
        description="what motion modules normalise: each `frame`, as AnimateDiff's published ones want it, or"
        " the `clip`, as diffusers does",
    )
    loras: tuple[Lora, ...] = Field(default=(), description="adapters, in order")
    textual_inversion: tuple[TextualInversion, ...] = Field(default=(), description="learned words")
    vae: Source | None = Field(default=None, description="VAE in place of the model's own")
    scheduler: SchedulerChoice = Field(
        default_factory=SchedulerChoice, description="default scheduler, by name or with overrides"
    )
    step_cache: Annotated[str, Field(pattern=r"^deepcache:[1-9]\d?$")] | None = Field(
        default=None, description="deepcache:3 runs the UNet's deep blocks at every third step"
    )
    clip_skip: int = Field(
        default=0, ge=0, le=11, description="default of text_encode: layers left out at the end"
    )

    @field_validator("controlnets", mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        """A list is named by position."""
        return {f"control{i}": item for i, item in enumerate(data)} if isinstance(data, list) else data

    @field_validator("scheduler", mode="before")
    @classmethod
    def _scheduler(cls, data: Any) -> Any:
        return {"name": data} if isinstance(data, str) else data
