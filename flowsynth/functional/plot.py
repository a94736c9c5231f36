"""Small line charts, one below the other, drawn with Pillow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

__all__ = ["line_charts"]

_WIDTH, _HEIGHT, _MARGIN = 720, 140, 28
_INK, _LINE, _RULE = (40, 40, 40), (20, 90, 170), (210, 210, 210)


def line_charts(series: Mapping[str, Sequence[float]]) -> Image:
    """Draw each series as a chart with its name, its mean, and its range at the left.

    Args:
        series: name -> values along time, at least two each.

    Returns:
        An RGB picture 720 pixels wide; a blank strip if there is nothing to draw.
    """
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (_WIDTH, max(1, len(series)) * _HEIGHT), "white")
    draw = ImageDraw.Draw(picture)
    for row, (name, values) in enumerate(series.items()):
        _chart(draw, name, values, row * _HEIGHT)
    return picture


def _chart(draw: ImageDraw, name: str, values: Sequence[float], top: int) -> None:
    low, high = min(values), max(values)
    left, right = _MARGIN * 3, _WIDTH - _MARGIN
    upper, lower = top + _MARGIN, top + _HEIGHT - _MARGIN // 2
    step, reach = (right - left) / (len(values) - 1), (high - low) or 1.0
    for y, value in ((upper, high), (lower, low)):
        draw.line((left, y, right, y), fill=_RULE)
        draw.text((6, y - 6), f"{value:.4g}", fill=_INK)
    points = [(left + i * step, lower - (v - low) / reach * (lower - upper)) for i, v in enumerate(values)]
    draw.line(points, fill=_LINE, width=2)
    draw.text((left, top + 8), f"{name}   mean {sum(values) / len(values):.4g}", fill=_INK)
