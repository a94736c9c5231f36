"""Drawing a graph: mermaid, Graphviz's dot, SVG of our own, or data."""

from __future__ import annotations

from collections.abc import Callable

from flowsynth.drawing.dot import to_dot
from flowsynth.drawing.mermaid import to_mermaid
from flowsynth.drawing.outline import Outline, outline_of, to_json
from flowsynth.drawing.svg import to_svg

#: format -> how it is written
FORMATS: dict[str, Callable[[Outline], str]] = {
    "mermaid": to_mermaid,
    "dot": to_dot,
    "svg": to_svg,
    "json": to_json,
}

__all__ = ["FORMATS", "Outline", "outline_of"]
