"""Clips: named directions, colours that stay, and windows that don't show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.pocket_figures.drawn import drawings
from benchmarks.pocket_figures.lab import Clip, Lab, defaults
from benchmarks.pocket_figures.pictures import save_plot, save_sheet
from benchmarks.pocket_figures.report import Section
from flowsynth.training.judge import Verdict
from flowsynth.training.judge_clips import colour_drift, direction, frame_changes, judge_clip
from flowsynth.training.shapes import Drawing

DIRECTIONS = ("left", "right", "up", "down")
WINDOW = 16


def measure(lab: Lab) -> Section:
    """All figures of the motion adapter."""
    steps, guidance = _params().values()
    section = Section(
        "Motion",
        f"Clips of 64 pixels, {steps} steps, guidance {guidance:g} (the defaults of the graph "
        f"`text_to_video`), windows of {WINDOW}. The same noise in every frame, as the model `pocket_motion` "
        "asks for, but where noise of its own is named.",
    )
    drawn = drawings(lab.count(60, 4), 6)
    ways = [DIRECTIONS[i % 4] for i in range(len(drawn))]
    prompts = [_prompt(drawing, f"moving {way}") for drawing, way in zip(drawn, ways, strict=True)]
    clips = lab.clips(prompts, WINDOW, **_params())
    seen = [judge_clip(clip) for clip in clips]
    right = [direction(verdicts) == way for verdicts, way in zip(seen, ways, strict=True)]
    section.add(f"{len(drawn)} clips of 16 frames: direction right", float(np.mean(right)), 0.9)
    section.add("frames with colour, shape, size right", identity(drawn, seen))
    _drift(lab, section, prompts[: lab.count(8, 2)], seen)
    save_sheet([frame for clip in clips[:12] for frame in clip[::2]], lab.out / "motion.png", 8)
    _long(lab, section)
    return section


def _params() -> dict[str, Any]:
    default = defaults("text_to_video")
    return {"num_inference_steps": default.num_inference_steps, "guidance_scale": default.guidance_scale}


def _prompt(drawing: Drawing, way: str) -> str:
    shape = drawing.shapes[0]
    words = (shape.size, shape.colour, shape.name, way)
    return f"a {' '.join(word for word in words if word)} on a {drawing.background} background"


def identity(drawn: Sequence[Drawing], seen: Sequence[Sequence[Verdict]]) -> float:
    """The share of frames whose largest shape has colour, name and size of the drawing's."""
    right = []
    for drawing, verdicts in zip(drawn, seen, strict=True):
        asked = drawing.shapes[0]
        for shape in (verdict.first for verdict in verdicts):
            found = (shape.colour, shape.name, shape.size) if shape else None
            right.append(found == (asked.colour, asked.name, asked.size))
    return float(np.mean(right))


def _drift(lab: Lab, section: Section, prompts: Sequence[str], seen: Sequence[Sequence[Verdict]]) -> None:
    apart = [judge_clip(clip) for clip in lab.clips(prompts, WINDOW, motion=False, **_params())]
    own = [judge_clip(clip) for clip in lab.clips(prompts, WINDOW, noise="independent", **_params())]
    together, noisy, independent = (
        float(np.mean([colour_drift(verdicts) for verdicts in clips]))
        for clips in (seen[: len(prompts)], own, apart)
    )
    section.add("colour drift from frame to frame, levels", together, form=".2f")
    section.add(
        f"over that of frames made apart ({independent:.2f} levels)",
        together / max(independent, 1e-6), 1 / 3, most=True, form=".2f",
    )  # fmt: skip
    section.add("the same with noise of its own in every frame", noisy / max(independent, 1e-6), form=".2f")


def _long(lab: Lab, section: Section) -> None:
    """96 frames: sliding windows of 16, one every 8."""
    frames = lab.count(96, 40)
    drawn = drawings(lab.count(12, 1), 7)
    prompts = [_prompt(drawing, "") for drawing in drawn]
    clips = lab.clips(prompts, frames, window=WINDOW, **_params())
    seen = [judge_clip(clip) for clip in clips]
    save_sheet([frame for clip in clips for frame in clip[::6]], lab.out / "long.png", 16)
    section.add(f"{frames} frames by sliding windows: colour, shape, size right", identity(drawn, seen), 0.9)
    section.add(
        "change of frame at windows' edges over that inside", edges(clips), 1.25, most=True, form=".2f"
    )
    changes = {
        f"clip {i}": (list(range(1, frames)), list(frame_changes(clip))) for i, clip in enumerate(clips)
    }
    save_plot(
        changes,
        "frame (windows start at multiples of 8)",
        "mean change, levels",
        lab.out / "long-changes.png",
    )


def edges(clips: Sequence[Clip]) -> float:
    """Mean change into the first frame of a window (every 8th) over the mean of all others."""
    changes = np.concatenate([frame_changes(clip) for clip in clips])
    edge = np.concatenate([np.arange(1, len(clip)) % (WINDOW // 2) == 0 for clip in clips])
    return float(changes[edge].mean() / max(changes[~edge].mean(), 1e-6))
