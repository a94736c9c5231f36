"""Boxes and curves of a drawing in pixels, whoever paints them."""

from __future__ import annotations

from dataclasses import dataclass

from flowsynth.drawing.layout import Layout, lay_out
from flowsynth.drawing.outline import Arrow, Box, Outline

ROW, GAP, HEIGHT, MARGIN = 62, 66, 40, 24


@dataclass(frozen=True, slots=True)
class PlacedBox:
    """A box: left edge, width and middle in pixels."""

    box: Box
    left: float
    width: float
    y: float


@dataclass(frozen=True, slots=True)
class Curve:
    """An arrow: its path as SVG has it, where it ends, and where its port is written."""

    arrow: Arrow
    path: str
    x: float
    y: float
    label_x: float
    label_y: float


@dataclass(frozen=True, slots=True)
class Geometry:
    """A whole drawing, in pixels."""

    width: float
    height: float
    boxes: tuple[PlacedBox, ...]
    curves: tuple[Curve, ...]


def geometry_of(outline: Outline) -> Geometry:
    """Where everything of an outline goes."""
    layout = lay_out(outline)
    boxes = {box.name: box for box in outline.boxes}
    columns = _columns(layout, boxes)
    at = {
        name: (*columns[i], MARGIN + layout.row[name] * ROW + ROW / 2)
        for i, layer in enumerate(layout.layers)
        for name in layer
    }
    width = columns[-1][0] + columns[-1][1] + MARGIN if columns else 2 * MARGIN
    height = (max(layout.row.values(), default=0) + 1) * ROW + 2 * MARGIN
    curves = (_curve(arrow, layout.routes[i], at) for i, arrow in enumerate(outline.arrows))
    return Geometry(
        width, height, tuple(PlacedBox(box, *at[box.name]) for box in outline.boxes), tuple(curves)
    )


def _columns(layout: Layout, boxes: dict[str, Box]) -> list[tuple[float, float]]:
    """Left edge and width of every layer."""
    columns: list[tuple[float, float]] = []
    left = float(MARGIN)
    for layer in layout.layers:
        texts = [boxes[name] for name in layer if name in boxes]
        width = max((max(len(b.name) * 7.8, len(b.text) * 6.4) + 28 for b in texts), default=20.0)
        columns.append((left, width))
        left += width + GAP
    return columns


def _curve(arrow: Arrow, route: list[str], at: dict[str, tuple[float, float, float]]) -> Curve:
    left, width, y = start = at[route[0]]
    x = left + width
    data = f"M{x:.1f},{y:.1f}"
    for i, name in enumerate(route[1:], 1):
        left, width, end = at[name]
        bend = GAP / 2
        data += f" C{x + bend:.1f},{y:.1f} {left - bend:.1f},{end:.1f} {left:.1f},{end:.1f}"
        x, y = left, end
        if i < len(route) - 1:
            x = left + width
            data += f" L{x:.1f},{y:.1f}"
        else:
            start = at[route[-2]]
    # Ports that enter one box at one height would write over each other: stand back along the curve.
    return Curve(arrow, data, x, y, left - 9, end + (start[2] - end) * 0.18 - 5)
