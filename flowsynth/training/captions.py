"""Captions of the style world, and the words of both worlds."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING

from flowsynth.training.shapes import COLOURS, DIRECTIONS, SHAPES, SIDES, SIZES

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

STYLE_WORDS = {
    "photo": "photo",
    "toon": "toon",
    "oil_painting": "oil painting",
    "watercolor": "watercolor",
    "pencil_sketch": "pencil sketch",
}
_DETAILS = {
    "photo": ("sharp", "detailed"),
    "toon": ("flat colours, ink lines", "clean lines", "cel shading"),
    "oil_painting": ("thick brush strokes", "canvas"),
    "watercolor": ("wet paper", "soft edges"),
    "pencil_sketch": ("graphite", "hatching"),
}
_FORMS = (
    "{style}, a photo of {subject}",
    "{style} of {subject}",
    "{subject}, {style}",
    "a {style} of {subject}",
    "{subject} in {style} style",
    "{style} style, {subject}",
    "{style}",
)
# Words that captions don't hold but prompts are likely to: one token each, untrained.
_COMMON = (
    "man woman person people face boy girl child dog cat bird horse bike bikes car street city river sea sky "
    "sun night day light dark bright soft sharp clean lines flat colors colours outlines cartoon anime comic "
    "drawing painting picture image video frame best quality masterpiece detailed bad ugly blurry noise "
    "worst low high two three with and of the over under moving from to ink paper brush shading "
    "cel rabbit forest"
)


def subject_of(name: str, subjects: Mapping[str, str]) -> str:
    """Returns what a picture shows, by the first file-name pattern that fits, else "a scene"."""
    for pattern, subject in subjects.items():
        if fnmatch.fnmatch(name, pattern):
            return subject
    return "a scene"


def style_caption(style: str, subject: str, rng: np.random.Generator) -> str:
    """Returns a caption with the style's words in a random place."""
    form = _FORMS[int(rng.integers(len(_FORMS)))]
    text = form.format(style=STYLE_WORDS[style], subject=subject)
    detail = _DETAILS[style][int(rng.integers(len(_DETAILS[style])))]
    return str(rng.choice([text, f"{text}, {detail}", f"{detail}, {text}", detail], p=[0.6, 0.15, 0.15, 0.1]))


def vocabulary(subjects: Mapping[str, str]) -> list[str]:
    """Returns every word that shall be one token, sorted."""
    texts = [
        *COLOURS,
        *SHAPES,
        *SIZES,
        *SIDES,
        *DIRECTIONS,
        *STYLE_WORDS.values(),
        *_FORMS,
        *subjects.values(),
        _COMMON,
    ]
    texts += [detail for details in _DETAILS.values() for detail in details]
    texts += ["a background on in at side center an scene moving shape"]
    return sorted({word for text in texts for word in re.findall(r"[a-z]+", text) if word != "subject"})
