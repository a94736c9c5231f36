"""Graphviz's language."""

from __future__ import annotations

import json

from flowsynth.drawing.outline import Outline


def to_dot(outline: Outline) -> str:
    """The text of a digraph, left to right."""
    lines = [
        f"digraph {_quoted(outline.name)} {{",
        '  rankdir=LR; node [shape=box, style="rounded", fontname="sans-serif", fontsize=11];',
        '  edge [fontname="sans-serif", fontsize=9, color="#667085"];',
    ]
    for box in outline.boxes:
        extra = ", shape=ellipse, style=dashed" if box.model else ", peripheries=2" if box.wanted else ""
        lines.append(f"  {_quoted(box.name)} [label={_quoted(f'{box.name}{chr(10)}{box.text}')}{extra}];")
    for arrow in outline.arrows:
        style = ", style=dashed" if arrow.type == "Model" else ""
        ends = f"{_quoted(arrow.source)} -> {_quoted(arrow.target)}"
        lines.append(f"  {ends} [label={_quoted(arrow.port)}{style}];")
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
