"""A drawing as SVG, with no program besides."""

from __future__ import annotations

from xml.sax.saxutils import escape

from flowsynth.drawing.layout import Layout, lay_out
from flowsynth.drawing.outline import Box, Outline

ROW, GAP, HEIGHT, MARGIN = 62, 66, 40, 24
_COLOURS = {
    "Frames": "#2f6fde",
    "Latents": "#8a4fd0",
    "Conditioning": "#16895a",
    "Model": "#98a2b3",
    "Video": "#c2410c",
    "Mask": "#0e7490",
    "Flow": "#b45309",
}
_OTHER = "#667085"
#: Attributes, not a style sheet, and nothing newer than SVG 1.1: every viewer knows them.
_TEXT = "font-family=\"'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif\""
_OP = 'font-size="11" fill="#667085"'
_NAME = 'font-size="13" font-weight="600" fill="#101828"'
_PORT = 'font-size="9.5" fill="#667085"'
#: What lies under the name of a port, so that it can be read on a line.
_HALO = 'font-size="9.5" fill="#fff" stroke="#fff" stroke-width="3" stroke-linejoin="round"'


def to_svg(outline: Outline) -> str:
    """The drawing: boxes for nodes, dashed ones for models, arrows coloured by what flows."""
    layout = lay_out(outline)
    boxes = {box.name: box for box in outline.boxes}
    columns = _columns(layout, boxes)
    width = columns[-1][0] + columns[-1][1] + MARGIN if columns else 2 * MARGIN
    height = (max(layout.row.values(), default=0) + 1) * ROW + 2 * MARGIN
    at = {
        name: (*columns[i], MARGIN + layout.row[name] * ROW + ROW / 2)
        for i, layer in enumerate(layout.layers)
        for name in layer
    }
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}">',
        f"<title>{escape(outline.name)}</title>",
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#fff"/><g {_TEXT}>',
        *(_path(i, outline, layout, at) for i in range(len(outline.arrows))),
        *(_label(i, outline, layout, at) for i in range(len(outline.arrows))),
        *(_box(box, at[box.name]) for box in outline.boxes),
        "</g></svg>",
    ]
    return "\n".join(parts)


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


def _path(index: int, outline: Outline, layout: Layout, at: dict[str, tuple[float, float, float]]) -> str:
    route = layout.routes[index]
    left, width, y = at[route[0]]
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
    arrow = outline.arrows[index]
    colour = _COLOURS.get(arrow.type, _OTHER)
    dash = ' stroke-dasharray="4 3"' if arrow.type == "Model" else ""
    tip = f"M{x:.1f},{y:.1f} l-7,-3.5 v7 z"
    line = f'<path d="{data}" fill="none" stroke="{colour}" stroke-width="1.6"{dash}/>'
    return f'{line}<path d="{tip}" fill="{colour}"/>'


def _label(index: int, outline: Outline, layout: Layout, at: dict[str, tuple[float, float, float]]) -> str:
    arrow, last = outline.arrows[index], layout.routes[index][-2:]
    left, _, end = at[last[1]]
    start = at[last[0]][2]
    # Ports that enter one box at one height would write over each other: stand back along the curve.
    y = end + (start - end) * 0.18 - 5
    place = f'text-anchor="end" x="{left - 9:.1f}" y="{y:.1f}"'
    return "".join(f"<text {look} {place}>{escape(arrow.port)}</text>" for look in (_HALO, _PORT))


def _box(box: Box, place: tuple[float, float, float]) -> str:
    left, width, y = place
    stroke, fill = ("#98a2b3", "#f9fafb") if box.model else ("#344054", "#fff")
    if box.wanted:
        stroke, fill = "#c2410c", "#fff7ed"
    dash = ' stroke-dasharray="4 3"' if box.model else ""
    middle = left + width / 2
    return (
        f'<rect x="{left:.1f}" y="{y - HEIGHT / 2:.1f}" width="{width:.1f}" height="{HEIGHT}" rx="8" '
        f'fill="{fill}" stroke="{stroke}" stroke-width="1.4"{dash}/>'
        f'<text {_NAME} text-anchor="middle" x="{middle:.1f}" y="{y - 2:.1f}">{escape(box.name)}</text>'
        f'<text {_OP} text-anchor="middle" x="{middle:.1f}" y="{y + 13:.1f}">{escape(box.text)}</text>'
    )
