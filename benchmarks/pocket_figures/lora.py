"""Whether a LoRA's style appears with its scale and is gone at 0."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.pocket_figures.drawn import captions, drawings
from benchmarks.pocket_figures.lab import Clip, Lab
from benchmarks.pocket_figures.pictures import save_sheet
from benchmarks.pocket_figures.report import Section

SCALES = (0.0, 0.5, 1.0)


def measure(lab: Lab) -> Section:
    """Every LoRA of the family, on prompts of the shape world."""
    section = Section(
        "LoRA", "Prompts of one shape: mean absolute difference to the picture without, in levels."
    )
    found = loras(lab.family)
    if not found:
        section.more = "**Not measured: the family has no LoRA** (a folder `lora` or `lora_NAME`)."
        print("lora: SKIPPED, the family has no LoRA", flush=True)
    for path in found:
        _one(lab, section, path)
    return section


def loras(family: Path) -> list[Path]:
    """The weight files in the family's folders whose names begin with lora."""
    return sorted(family.glob("lora*/**/*.safetensors"))


def _one(lab: Lab, section: Section, path: Path) -> None:
    name = str(path.relative_to(lab.family))
    drawn = drawings(lab.count(16, 4), 10)
    texts = captions(drawn)
    plain = lab.pictures(texts)
    made = [lab.pictures(texts, lora=(path, scale)) for scale in SCALES]
    save_sheet(
        [*plain, *(p for pictures in made for p in pictures)], lab.out / f"lora-{path.stem}.png", len(drawn)
    )
    ways = np.stack([_distance(pictures, plain) for pictures in made])
    section.add(f"{name} at 0", ways[0].mean(), 0.01, most=True, form=".2f")
    section.add("at 0.5", ways[1].mean(), form=".2f")
    section.add("at 1", ways[2].mean(), 5.0, form=".2f")
    section.add("prompts for which it grows with the scale", (np.diff(ways, axis=0) > 0).all(0).mean(), 0.9)


def _distance(made: Clip, plain: Clip) -> npt.NDArray[np.float64]:
    apart: npt.NDArray[np.float64] = np.abs(made.astype(float) - plain).mean((1, 2, 3))
    return apart
