"""Make pictures or clips in one go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, JsonValue

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, RunError
from flowsynth.core.operator import Operator
from flowsynth.core.streams import StreamKind, Whole
from flowsynth.models import Model
from flowsynth.models.protocol import Generates
from flowsynth.models.requests import GenerateRequest, GenerateSettings, Hooks
from flowsynth.operators.diffusion._models import model_faults, model_stream
from flowsynth.values import Frames
from flowsynth.values.frames import as_dtype


class Generate(Operator):
    """Make pictures or clips with a model without denoising: an adversarial or an autoregressive network.

    What a model reads its family says: a class (BigGAN), a picture (pix2pix), labels of pixels (SPADE),
    frames to go on from (VideoGPT), or nothing but chance (StyleGAN2). `flowsynth model MODEL` tells, with
    the options.

    Inputs:
        model: what makes the pictures.
        image: pictures to make others of, for models that translate; frame by frame. Labels are grey
            frames of uint8 whose values are numbers of classes. Or the frames that a clip goes on from.

    Output:
        RGB frames of N, 3, H, W; those made of a clip keep its rate, clips have their own, one after another.

    Errors:
        A class or a picture that is missing, or that the model has no use for; pictures that hold NaN.
    """

    op: ClassVar[str] = "generate"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    prompt: str = Field(default="", description="what to show, for models that read words")
    class_label: int | None = Field(
        default=None, ge=0, description="number of the class, for models that have some"
    )
    num_images: int = Field(
        default=1, ge=1, le=4096, description="how many pictures or clips, unless made of pictures"
    )
    seed: int | None = Field(default=0, ge=0, lt=2**32, description="of the first; null draws one")
    dtype: Literal["uint8", "float32", "float16"] = Field(default="uint8", description="of the frames")
    options: dict[str, JsonValue] = Field(default_factory=dict, description="the model family's own")

    def stream(self) -> StreamKind:
        """All at once, unless the model makes pictures of pictures."""
        return Whole()

    def stream_with(self, models: Mapping[str, object]) -> StreamKind:
        """Frame by frame where the model translates."""
        return model_stream(self.op, models, self.stream())

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """What the model cannot do."""
        return model_faults(self._settings(), inputs)

    def _settings(self) -> GenerateSettings:
        return GenerateSettings(
            options=self.options,
            prompt=self.prompt,
            class_label=self.class_label,
            num_images=self.num_images,
            seed=self.seed or 0,
        )

    def run(self, ctx: RunContext, /, *, model: Model, image: Frames | None = None) -> Frames:
        """Make them."""
        settings = self._settings()
        loaded = model.open(ctx, settings, {"image": 1} if image is not None else {})
        if not isinstance(loaded, Generates):
            raise model.broken(self.op)
        hooks = Hooks(progress=ctx.progress, check=ctx.check_cancelled, note=ctx.note)
        pictures, fps = loaded.generate(GenerateRequest(settings, image, hooks))
        if not pictures.isfinite().all():
            raise RunError(f"{ctx.node or self.op}: the pictures hold NaN or infinity; try dtype: float32")
        rate = fps or (None if image is None else image.fps)
        return Frames(as_dtype(pictures, self.dtype).cpu(), rate)
