"""Whether a made shape lies where its control says, and how scale, start and end act on that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.pocket_figures.drawn import drawings
from benchmarks.pocket_figures.lab import Clip, Lab, Redraw
from benchmarks.pocket_figures.pictures import save_plot, save_sheet
from benchmarks.pocket_figures.report import Section
from flowsynth.training.judge import Verdict, judge, overlap
from flowsynth.training.shapes import DRAWN_EDGES, Drawing

SCALES = (1.0, 0.75, 0.5, 0.25, 0.0)


def measure(lab: Lab) -> Section:
    """All figures of ControlNets."""
    count = lab.count(24, 6)
    drawn = drawings(count, 5)
    rng = np.random.default_rng(5)
    shown = np.stack([drawing.render(64, rng) for drawing in drawn])
    section = Section(
        "ControlNets",
        f"{count} drawings give lines (canny); the prompt says colours only, such as `{_prompt(drawn[0])}`. "
        "IoU is that of the made shape with the drawn one, means over the drawings.",
    )
    trial = _Trial(lab, drawn, shown)
    _scales(trial, section)
    _times(trial, section)
    _both(trial, section)
    save_sheet([shown[i] for i in range(count)] + trial.rows, lab.out / "control.png", count)
    return section


def _prompt(drawing: Drawing) -> str:
    return f"a {drawing.shapes[0].colour} shape on a {drawing.background} background"


class _Trial:
    """Pictures under controls, and their overlap with what was drawn."""

    def __init__(self, lab: Lab, drawn: Sequence[Drawing], shown: Clip) -> None:
        self.lab, self.drawn, self.shown = lab, drawn, shown
        self.masks = [judge(picture).shapes[0].mask for picture in shown]
        self.rows: list[np.ndarray] = []

    def made(self, *controls: str, **params: Any) -> list[Verdict]:
        """What the pictures under some controls show; they join the sheet."""
        redraw = Redraw(dict.fromkeys(controls, self.shown), params=params, edges=DRAWN_EDGES)
        pictures = self.lab.pictures([_prompt(drawing) for drawing in self.drawn], redraw=redraw)
        self.rows += list(pictures)
        return [judge(picture) for picture in pictures]

    def iou(self, *controls: str, **params: Any) -> float:
        """Their mean overlap with the drawn shapes."""
        return self.overlap(self.made(*controls, **params))

    def overlap(self, seen: Sequence[Verdict]) -> float:
        """The mean overlap of the largest shapes with the drawn ones."""
        pairs = zip(self.masks, seen, strict=True)
        return float(np.mean([overlap(mask, s.first.mask) if s.first else 0.0 for mask, s in pairs]))


def _scales(trial: _Trial, section: Section) -> None:
    scales = SCALES[::2] if trial.lab.quick else SCALES
    found = {scale: trial.iou("lines", control_scale=scale) for scale in scales}
    save_plot(
        {"lines": (list(found), list(found.values()))}, "scale", "IoU", trial.lab.out / "control-scale.png"
    )
    section.add("lines at scale 1.0: IoU", found[1.0], 0.85, form=".2f")
    section.add("at 0.5, less", found[0.5], found[1.0] - 0.01, most=True, form=".2f")
    section.add("at 0, less again", found[0.0], found[0.5] - 0.05, most=True, form=".2f")
    section.more = "IoU by scale (`control-scale.png`): " + ", ".join(
        f"{iou:.2f} at {scale:g}" for scale, iou in found.items()
    )


def _times(trial: _Trial, section: Section) -> None:
    whole, none = trial.iou("lines"), trial.iou("lines", control_scale=0.0)
    early, late = trial.iou("lines", control_end=0.5), trial.iou("lines", control_start=0.7)
    section.add("lines in the first half of the steps only, more than without", early, none + 0.1, form=".2f")
    section.add("lines in the last third only, less than in all", late, whole - 0.1, most=True, form=".2f")


def _both(trial: _Trial, section: Section) -> None:
    section.add("tile alone: IoU", trial.iou("tile"), form=".2f")
    seen = trial.made("lines", "tile")
    section.add("lines and tile together: IoU", trial.overlap(seen), 0.85, form=".2f")
    right = [
        s.first is not None and s.first.colour == d.shapes[0].colour and s.background == d.background
        for s, d in zip(seen, trial.drawn, strict=True)
    ]
    section.add("both colours right under them", float(np.mean(right)), 0.95)
