"""Render frames in a classical style."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from flowsynth.core.canonical import Json
from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Map, StreamKind
from flowsynth.operators.shared.frames import map_frames
from flowsynth.values import Frames
from flowsynth.values.frames import as_rgb

if TYPE_CHECKING:
    from torch import Tensor

_OPTIONS = {
    "toon": {
        "levels": "levels",
        "saturation": "saturation",
        "lines": "ink_strength",
        "smoothing": "smoothing",
    },
    "oil_painting": {"saturation": "saturation", "texture": "relief", "smoothing": "brush"},
    "watercolor": {
        "saturation": "saturation",
        "lines": "rims",
        "texture": "grain",
        "smoothing": "wetness",
    },
    "pencil_sketch": {"lines": "contour", "texture": "hatch"},
}


#: What words of a text ask for which style, as beginnings of words.
_WORDS: dict[str, tuple[str, ...]] = {
    "toon": ("toon", "cartoon", "cel", "comic", "anime", "manga"),
    "oil_painting": ("oil", "impasto"),
    "watercolor": ("watercolo", "aquarelle", "gouache"),
    "pencil_sketch": ("pencil", "sketch", "graphite", "charcoal"),
}


def named_style(words: str) -> str | None:
    """The style that a text names first, if any."""
    for word in re.findall(r"\w+", words.lower()):
        for style, beginnings in _WORDS.items():
            if word.startswith(beginnings):
                return style
    return None


class Stylize(Operator):
    """Render frames as a drawing or painting, by image filters: classical, not diffusion; no model.

    Every frame is taken by itself and there is no randomness: thresholds are soft and textures lie fixed
    on the sheet, so that footage keeps its steadiness. Lengths scale with the frame's short side, from
    144 px to 1080p. Grey input counts as equal channels, alpha is dropped.

    The styles:

    - ``toon``: regions of even colour (L0 smoothing, Xu et al. 2011), tones in clean bands, ink lines by
      differences of Gaussians (Winnemoeller, Olsen and Gooch 2006; Winnemoeller et al. 2012).
    - ``oil_painting``: a broad and a fine anisotropic Kuwahara brush (Kyprianidis et al. 2009), lit bristle
      marks along the forms; walls stay calm.
    - ``watercolor``: flat washes with rims of pigment on grained paper (after Bousseau et al. 2006).
    - ``pencil_sketch``: contours, and hatching in four layers along the forms, graphite on warm paper.

    What stands out of what a style takes away, such as eyes and lettering, is given back.

    With ``auto`` the style follows a text, such as a prompt: the first that `words` name (toon, cartoon,
    comic, anime; oil; watercolor, gouache; pencil, sketch, charcoal), and where they name none, `otherwise`.

    `null` takes the style's own value; an option that the style doesn't have is a fault.

    Inputs:
        frames: T, C, H, W of any size and dtype; C is 1, 3 or 4.

    Output:
        Frames of T, 3, H, W, in the rate and dtype of the input.
    """

    op: ClassVar[str] = "stylize"
    version: ClassVar[int] = 1
    same_size: ClassVar[str] = "frames"
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    style: Literal["auto", "toon", "oil_painting", "watercolor", "pencil_sketch"] = Field(
        default="toon", description="the look"
    )
    words: str = Field(default="", description="auto: the text that the style is taken from")
    otherwise: Literal["none", "toon", "oil_painting", "watercolor", "pencil_sketch"] = Field(
        default="toon", description="auto: the style where words name none; none leaves the source"
    )
    strength: float = Field(default=1.0, ge=0, le=1, description="0 leaves the source, 1 is the full style")
    levels: int | None = Field(
        default=None, ge=2, le=64, description="toon: tone steps from black to white, 6"
    )
    saturation: float | None = Field(
        default=None, ge=0, le=4, description="gain on colour, 1.2 to 1.45; not for pencil_sketch"
    )
    lines: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="toon: ink, 0.9; watercolor: rims, 1; pencil_sketch: contours, 1",
    )
    texture: float | None = Field(
        default=None,
        ge=0,
        le=2,
        description="oil_painting: relief; watercolor: grain; pencil_sketch: hatching; 1",
    )
    smoothing: float | None = Field(
        default=None,
        gt=0,
        le=4,
        description="toon, watercolor: how much flows together; oil_painting: brush size; 1",
    )

    def stream(self) -> StreamKind:
        """Frame by frame."""
        return Map()

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """Refuse options that the style doesn't have."""
        del inputs
        valid = _OPTIONS.get(self.chosen, {})
        return [
            Fault(
                f"params.{name}",
                f"{self.chosen} has no such option",
                f"one of {', '.join(valid)}" if valid else "none",
                str(getattr(self, name)),
            )
            for name in ("levels", "saturation", "lines", "texture", "smoothing")
            if getattr(self, name) is not None and name not in valid
        ]

    @property
    def chosen(self) -> str:
        """The style, or none."""
        return self.style if self.style != "auto" else named_style(self.words) or self.otherwise

    def key_params(self, files: Collection[str]) -> dict[str, Json]:
        """The params with the style that is chosen: other words for the same style are the same work."""
        params = super().key_params(files)
        return {**params, "style": self.chosen, "words": "", "otherwise": ""}

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        """Stylise each frame."""
        from flowsynth.functional.style.stylize import stylize

        style = self.chosen
        if style == "none":
            return frames
        names = _OPTIONS[style]
        options = {to: getattr(self, name) for name, to in names.items() if getattr(self, name) is not None}

        def render(frame: Tensor) -> Tensor:
            return stylize(as_rgb(frame), style, strength=self.strength, **options)

        return map_frames(ctx, frames, render)
