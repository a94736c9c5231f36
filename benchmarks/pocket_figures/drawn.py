"""Random prompts of the shape world, and what of them a picture shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from flowsynth.training.judge import Verdict, judge
from flowsynth.training.shapes import Drawing, random_drawing

if TYPE_CHECKING:
    from flowsynth.training.pictures import Picture

ATTRIBUTES = ("background", "colour", "shape", "size", "side")


def drawings(count: int, seed: int, shapes: int = 1) -> list[Drawing]:
    """Random drawings of so many shapes that stand still."""
    rng = np.random.default_rng(seed)
    found: list[Drawing] = []
    while len(found) < count:
        drawing = random_drawing(rng)
        if len(drawing.shapes) == shapes and not drawing.moves:
            found.append(drawing)
    return found


def captions(drawn: Sequence[Drawing], seed: int = 1) -> list[str]:
    """A caption for each."""
    rng = np.random.default_rng(seed)
    return [drawing.caption(rng) for drawing in drawn]


def right(drawing: Drawing, seen: Verdict) -> dict[str, bool]:
    """Which attributes of a one-shape drawing a picture shows."""
    asked, found = drawing.shapes[0], seen.first
    answers = {"background": seen.background == drawing.background}
    for name, attribute in (("colour", "colour"), ("shape", "name"), ("size", "size"), ("side", "side")):
        answers[name] = found is not None and getattr(found, attribute) == getattr(asked, attribute)
    return answers


def shares(drawn: Sequence[Drawing], pictures: Iterable[Picture]) -> dict[str, float]:
    """The share of pictures that have each attribute right."""
    answers = [right(drawing, judge(picture)) for drawing, picture in zip(drawn, pictures, strict=True)]
    return {name: float(np.mean([answer[name] for answer in answers])) for name in ATTRIBUTES}


def shows(seen: Verdict, test: Callable[..., bool]) -> bool:
    """Whether any shape of a picture passes a test."""
    return any(test(shape) for shape in seen.shapes)
