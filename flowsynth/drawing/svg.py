"""A drawing as SVG, with no program besides."""

from __future__ import annotations

from xml.sax.saxutils import escape

from flowsynth.drawing.geometry import HEIGHT, Curve, PlacedBox, geometry_of
from flowsynth.drawing.outline import Outline

#: Type of what flows -> colour.
COLOURS = {
    "Frames": "#2f6fde",
    "Latents": "#8a4fd0",
    "Conditioning": "#16895a",
    "Model": "#98a2b3",
    "Video": "#c2410c",
    "Mask": "#0e7490",
    "Flow": "#b45309",
}
OTHER = "#667085"
#: Attributes, not a style sheet, and nothing newer than SVG 1.1: every viewer knows them.
_TEXT = "font-family=\"'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif\""
_OP = 'font-size="11" fill="#667085"'
_NAME = 'font-size="13" font-weight="600" fill="#101828"'
_PORT = 'font-size="9.5" fill="#667085"'
#: What lies under the name of a port, so that it can be read on a line.
_HALO = 'font-size="9.5" fill="#fff" stroke="#fff" stroke-width="3" stroke-linejoin="round"'


def to_svg(outline: Outline) -> str:
    """The drawing: boxes for nodes, dashed ones for models, arrows coloured by what flows."""
    drawn = geometry_of(outline)
    width, height = drawn.width, drawn.height
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}">',
        f"<title>{escape(outline.name)}</title>",
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#fff"/><g {_TEXT}>',
        *map(_path, drawn.curves),
        *map(_label, drawn.curves),
        *map(_box, drawn.boxes),
        "</g></svg>",
    ]
    return "\n".join(parts)


def _path(curve: Curve) -> str:
    colour = COLOURS.get(curve.arrow.type, OTHER)
    dash = ' stroke-dasharray="4 3"' if curve.arrow.type == "Model" else ""
    tip = f"M{curve.x:.1f},{curve.y:.1f} l-7,-3.5 v7 z"
    line = f'<path d="{curve.path}" fill="none" stroke="{colour}" stroke-width="1.6"{dash}/>'
    return f'{line}<path d="{tip}" fill="{colour}"/>'


def _label(curve: Curve) -> str:
    place = f'text-anchor="end" x="{curve.label_x:.1f}" y="{curve.label_y:.1f}"'
    return "".join(f"<text {look} {place}>{escape(curve.arrow.port)}</text>" for look in (_HALO, _PORT))


def _box(placed: PlacedBox) -> str:
    box, left, width, y = placed.box, placed.left, placed.width, placed.y
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
