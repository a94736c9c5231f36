"""Render frames in a classical style."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Map, StreamKind
from flowsynth.operators.shared.frames import as_rgb, map_frames
from flowsynth.values import Frames

if TYPE_CHECKING:
    from torch import Tensor

_OPTIONS = {
    "toon": {"levels": "levels", "saturation": "saturation", "lines": "ink", "smoothing": "smoothing"},
    "oil_painting": {"saturation": "saturation", "texture": "relief", "smoothing": "brush"},
    "watercolor": {
        "saturation": "saturation",
        "lines": "rims",
        "texture": "grain",
        "smoothing": "wetness",
    },
    "pencil_sketch": {"lines": "contour", "texture": "hatch"},
}


class Stylize(Operator):
    """Render frames as a drawing or painting, by image filters: classical, not diffusion; no model.

    Every frame is taken by itself and there is no randomness: thresholds are soft and textures lie fixed
    on the sheet, so that footage keeps its steadiness. Lengths scale with the frame's short side, from
    144 px to 1080p. Grey input counts as equal channels, alpha is dropped.

    The styles:

    - ``toon``: iterated bilateral filtering, soft tone steps, ink lines by an extended difference of
      Gaussians along the flow (Winnemoeller, Olsen and Gooch 2006; Winnemoeller et al. 2012).
    - ``oil_painting``: anisotropic Kuwahara filtering with lit bristle marks (Kyprianidis et al. 2009).
    - ``watercolor``: flattened washes with dark rims on grained paper (after Bousseau et al. 2006).
    - ``pencil_sketch``: contours by dodging and hatched shade, graphite on warm paper.

    `null` takes the style's own value; an option that the style doesn't have is a fault.

    Inputs:
        frames: T, C, H, W of any size and dtype; C is 1, 3 or 4.

    Output:
        Frames of T, 3, H, W, in the rate and dtype of the input.
    """

    op: ClassVar[str] = "stylize"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    style: Literal["toon", "oil_painting", "watercolor", "pencil_sketch"] = Field(
        "toon", description="the look"
    )
    strength: float = Field(1.0, ge=0, le=1, description="0 leaves the source, 1 is the full style")
    levels: int | None = Field(None, ge=2, le=64, description="toon: tone steps from black to white, 6")
    saturation: float | None = Field(
        None, ge=0, le=4, description="gain on colour, 1.2 to 1.5; not for pencil_sketch"
    )
    lines: float | None = Field(
        None, ge=0, le=1, description="toon: ink, 0.85; watercolor: rims, 1; pencil_sketch: contours, 1"
    )
    texture: float | None = Field(
        None, ge=0, le=2, description="oil_painting: relief; watercolor: grain; pencil_sketch: hatching; 1"
    )
    smoothing: float | None = Field(
        None, gt=0, le=4, description="toon, watercolor: how much flows together; oil_painting: brush size; 1"
    )

    def stream(self) -> StreamKind:
        """Frame by frame."""
        return Map()

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """Refuse options that the style doesn't have."""
        del inputs
        valid = _OPTIONS[self.style]
        return [
            Fault(
                f"params.{name}",
                f"{self.style} has no such option",
                "one of " + ", ".join(valid),
                str(getattr(self, name)),
            )
            for name in ("levels", "saturation", "lines", "texture", "smoothing")
            if getattr(self, name) is not None and name not in valid
        ]

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        """Stylise each frame."""
        from flowsynth.functional.style.stylize import stylize

        names = _OPTIONS[self.style]
        options = {to: getattr(self, name) for name, to in names.items() if getattr(self, name) is not None}

        def render(frame: Tensor) -> Tensor:
            return stylize(as_rgb(frame), self.style, strength=self.strength, **options)

        return map_frames(ctx, frames, render)
