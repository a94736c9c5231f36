"""Mermaid's flowchart, which Markdown on the common hosts draws."""

from __future__ import annotations

from flowsynth.drawing.outline import Outline


def to_mermaid(outline: Outline) -> str:
    """The text of a flowchart, left to right; names are quoted, so any name is safe."""
    ids = {box.name: f"n{i}" for i, box in enumerate(outline.boxes)}
    lines = ["flowchart LR"]
    for box in outline.boxes:
        label = f'"{_safe(box.name)}<br/><small>{_safe(box.text)}</small>"'
        shape = f"([{label}])" if box.model else f"[[{label}]]" if box.wanted else f"[{label}]"
        lines.append(f"  {ids[box.name]}{shape}")
    for arrow in outline.arrows:
        line = "-.->" if arrow.type == "Model" else "-->"
        lines.append(f'  {ids[arrow.source]} {line}|"{_safe(arrow.port)}"| {ids[arrow.target]}')
    return "\n".join(lines)


def _safe(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
