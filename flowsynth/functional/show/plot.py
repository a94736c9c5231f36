"""Small line charts, one below the other, drawn with Pillow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

    Font = FreeTypeFont | ImageFont

__all__ = ["line_charts"]

#: Pixels of the picture; drawn at twice the size and reduced, for smooth lines.
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _ABOVE, _BELOW, _FONT = 720, 150, 76, 20, 30, 14, 13
_FINE = 2
_INK, _LINE, _MEAN, _RULE = (40, 40, 40), (20, 90, 170), (150, 180, 215), (205, 205, 205)
_OTHER = (150, 150, 150)


def line_charts(
    series: Mapping[str, Sequence[float]], beneath: Mapping[str, Sequence[float]] | None = None
) -> Image:
    """Draw each series as a chart with its name and mean, from zero (or below) to its largest value.

    All share one axis of frames and end at its end: what is measured from frame to frame is drawn at the
    later one.

    Args:
        series: name -> values along time, at least two each.
        beneath: for some of the names, values of something to compare with, drawn in grey.

    Returns:
        An RGB picture 720 pixels wide; a blank strip if there is nothing to draw.
    """
    from PIL import Image, ImageDraw, ImageFont

    frames = max(map(len, series.values()), default=0)
    size = _WIDTH, max(1, len(series)) * _HEIGHT + (_ABOVE if series else 0)
    picture = Image.new("RGB", (size[0] * _FINE, size[1] * _FINE), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(_FONT * _FINE)
    for row, (name, values) in enumerate(series.items()):
        _chart(draw, font, name, [values, (beneath or {}).get(name, ())], row * _HEIGHT, frames)
    if series:
        _axis(draw, font, len(series) * _HEIGHT, frames)
    return picture.resize(size, Image.Resampling.LANCZOS)


def _chart(
    draw: ImageDraw, font: Font, name: str, lines: Sequence[Sequence[float]], top: int, frames: int
) -> None:
    values, beneath = lines
    low, high = min(0.0, *values, *beneath), max(0.0, *values, *beneath)
    mean = sum(values) / len(values)
    upper, lower = top + _ABOVE, top + _HEIGHT - _BELOW

    def at(value: float) -> float:
        return _FINE * (lower - (value - low) / ((high - low) or 1.0) * (lower - upper))

    ends = _place(0, frames), _place(frames - 1, frames)
    for value, colour in ((low, _RULE), (high, _RULE), (mean, _MEAN)):
        draw.line((ends[0], at(value), ends[1], at(value)), fill=colour, width=_FINE)
    for value in {low, high}:
        draw.text((_FINE * (_LEFT - 8), at(value)), f"{value:.4g}", fill=_INK, font=font, anchor="rm")
    for course, colour in ((beneath, _OTHER), (values, _LINE)):
        first = frames - len(course)
        points = [(_place(first + i, frames), at(value)) for i, value in enumerate(course)]
        draw.line(points, fill=colour, width=2 * _FINE, joint="curve")
    place = ends[0], _FINE * (top + _ABOVE // 2)
    draw.text(place, f"{name.replace('_', ' ')}, mean {mean:.4g}", fill=_INK, font=font, anchor="lm")


def _axis(draw: ImageDraw, font: Font, top: int, frames: int) -> None:
    """Number the first, the middle and the last frame."""
    for index in sorted({0, (frames - 1) // 2, frames - 1}):
        anchor = "lm" if index == 0 else "rm" if index == frames - 1 else "mm"
        text = f"frame {index}" if index == 0 else f"{index}"
        draw.text((_place(index, frames), _FINE * (top + 8)), text, fill=_INK, font=font, anchor=anchor)


def _place(index: int, frames: int) -> float:
    """Where a frame lies from left to right."""
    return _FINE * (_LEFT + (_WIDTH - _LEFT - _RIGHT) * index / max(frames - 1, 1))
