"""Say where and when a prompt holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, RequestError
from flowsynth.core.operator import Operator
from flowsynth.models.diffusion.regions import conditioning_of, regions_of
from flowsynth.values import Conditioning, Frames


class PlaceConditioning(Operator):
    """Say for which part of the picture, for which steps and how much a prompt is; for `join_conditioning`.

    A **box** is looked at alone: the denoiser draws what is inside as a picture of its own, and at edges that
    are not the picture's the result fades in over eight latent pixels. With a **mask** it draws all of the
    picture, and white is what counts. Where prompts overlap, their predictions are averaged by strength;
    where none holds, nothing is predicted, so that one prompt should be for the whole.

    Inputs:
        conditioning: of a family whose prompts are plain states, such as `sd`; its prompt is placed, its
            negative prompt stays.
        mask: white where it holds, in one frame or as many as are drawn.

    Output:
        Conditioning like the input.

    Errors:
        RequestError: a family that takes one prompt; a mask beside a box.
    """

    op: ClassVar[str] = "place_conditioning"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    left: float | None = Field(default=None, ge=0, le=16384, description="of the box")
    top: float | None = Field(default=None, ge=0, le=16384, description="of the box")
    width: float | None = Field(default=None, gt=0, le=16384, description="of the box")
    height: float | None = Field(default=None, gt=0, le=16384, description="of the box")
    unit: Literal["pixels", "shares"] = Field(
        default="pixels", description="of the box; shares of the picture"
    )
    strength: float = Field(default=1.0, ge=0, le=100, description="weight beside other prompts")
    start: float = Field(default=0.0, ge=0, le=1, description="share of the steps before it acts")
    end: float = Field(default=1.0, ge=0, le=1, description="share of the steps until it stops")

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """Refuse half a box, one beside a mask, one beyond the picture, and no step."""
        sides = {name: getattr(self, name) for name in ("left", "top", "width", "height")}
        given = [name for name, value in sides.items() if value is not None]
        faults = []
        if given and len(given) < 4:
            faults.append(Fault("params", "half a box", "left, top, width and height", ", ".join(given)))
        elif given and inputs.get("mask") is not None:
            faults.append(Fault("inputs.mask", "beside a box", "one of them", "both"))
        elif given and self.unit == "shares" and max(sides.values()) > 1:
            faults.append(Fault("params.unit", "beyond the picture", "shares of at most 1", "shares"))
        if not given and self.unit == "shares":
            faults.append(Fault("params.unit", "of no box", "left, top, width and height", "shares"))
        if self.start >= self.end:
            faults.append(Fault("params.start", "no step", f"less than end {self.end:g}", f"{self.start:g}"))
        return faults

    def run(
        self, ctx: RunContext, /, *, conditioning: Conditioning, mask: Frames | None = None
    ) -> Conditioning:
        """Place the prompt."""
        from flowsynth.functional.picture.composite import to_channels

        ctx.check_cancelled()
        if faults := self.check({"mask": mask}):
            raise RequestError(f"place_conditioning: {faults[0]}")
        box = None
        if None not in (self.left, self.top, self.width, self.height):
            box = (
                float(self.left or 0),
                float(self.top or 0),
                float(self.width or 0),
                float(self.height or 0),
            )
        held = None if mask is None else to_channels(mask.to_float(), 1).contiguous()
        placed = [
            replace(
                region,
                box=box or region.box,
                shares=self.unit == "shares" if box else region.shares,
                mask=region.mask if held is None else held,
                strength=self.strength,
                start=self.start,
                end=self.end,
            )
            for region in regions_of(conditioning, "prompt", self.op)
        ]
        return conditioning_of(conditioning.family, placed, regions_of(conditioning, "negative", self.op))
