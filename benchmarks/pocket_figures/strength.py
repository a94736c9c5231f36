"""Whether more strength moves further away from the source."""

from __future__ import annotations

import numpy as np

from benchmarks.pocket_figures.drawn import drawings
from benchmarks.pocket_figures.lab import Lab, Redraw
from benchmarks.pocket_figures.pictures import save_sheet
from benchmarks.pocket_figures.report import Section

STRENGTHS = (0.2, 0.5, 0.9)


def measure(lab: Lab) -> Section:
    """Redraw drawings as other drawings, without controls."""
    count = lab.count(24, 6)
    sources, others = drawings(count, 8), drawings(count, 9)
    rng = np.random.default_rng(8)
    shown = np.stack([drawing.render(64, rng) for drawing in sources])
    prompts = [drawing.caption(rng) for drawing in others]
    made = [
        lab.pictures(
            prompts, redraw=Redraw(start=shown, params={"strength": strength, "num_inference_steps": 20})
        )
        for strength in STRENGTHS
    ]
    ways = np.stack([np.abs(pictures.astype(float) - shown).mean((1, 2, 3)) for pictures in made])
    save_sheet([*shown, *(p for pictures in made for p in pictures)], lab.out / "strength.png", count)
    section = Section(
        "Strength",
        f"{count} drawings redrawn after the prompt of another, 20 steps, without controls: distance to the "
        "source, mean absolute difference in levels.",
    )
    for strength, way in zip(STRENGTHS, ways.mean(1), strict=True):
        section.add(f"strength {strength:g}", way, form=".1f")
    order = (np.diff(ways, axis=0) > 0).all(0).mean()
    section.add("drawings whose three distances are in order", order, 0.9)
    return section
