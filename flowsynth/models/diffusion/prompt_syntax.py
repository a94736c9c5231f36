r"""Weights inside prompts, in the grammar that AUTOMATIC1111's web UI made common.

``(word)`` multiplies a weight by 1.1, ``[word]`` divides it by 1.1, ``(word:1.3)`` multiplies it by 1.3;
brackets nest; ``\(``, ``\)``, ``\[``, ``\]`` and ``\\`` are the characters themselves; ``BREAK`` starts
a new chunk of tokens. A bracket that is never closed acts to the end of the prompt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: What one pair of plain brackets does.
STEP = 1.1
_TOKEN = re.compile(r"\\[\\()\[\]]|\\|\(|\[|:\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*\)|\)|\]|[^\\()\[\]:]+|:", re.X)
_BREAK = re.compile(r"\s*\bBREAK\b\s*", re.S)


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text with one weight; ``text`` is None where a new chunk starts."""

    text: str | None
    weight: float = 1.0


def parse_prompt(prompt: str) -> list[Piece]:
    """Split a prompt into runs of text with their weights.

    Args:
        prompt: such as ``a (red:1.3) house BREAK [blurry] sky``.

    Returns:
        Pieces in order; neighbours of equal weight are joined.
    """
    parts: list[tuple[str | None, float]] = []
    opened: list[tuple[str, int]] = []
    for match in _TOKEN.finditer(prompt):
        text, weight = match.group(0), match.group(1)
        if text in ("(", "["):
            opened.append((text, len(parts)))
        elif weight is not None and _top(opened, "("):
            _multiply(parts, opened.pop()[1], float(weight))
        elif text == ")" and _top(opened, "("):
            _multiply(parts, opened.pop()[1], STEP)
        elif text == "]" and _top(opened, "["):
            _multiply(parts, opened.pop()[1], 1 / STEP)
        else:
            literal = text[1:] if len(text) == 2 and text[0] == "\\" else text
            parts.extend((piece, 1.0) for piece in _split_breaks(literal))
    for bracket, start in opened:
        _multiply(parts, start, STEP if bracket == "(" else 1 / STEP)
    return _joined(parts)


def _top(opened: list[tuple[str, int]], bracket: str) -> bool:
    return bool(opened) and opened[-1][0] == bracket


def _multiply(parts: list[tuple[str | None, float]], start: int, factor: float) -> None:
    parts[start:] = [(text, weight * factor) for text, weight in parts[start:]]


def _split_breaks(text: str) -> list[str | None]:
    """Text with None in place of every ``BREAK``."""
    found: list[str | None] = []
    for i, run in enumerate(_BREAK.split(text)):
        if i:
            found.append(None)
        if run:
            found.append(run)
    return found


def _joined(parts: list[tuple[str | None, float]]) -> list[Piece]:
    pieces: list[Piece] = []
    for text, weight in parts:
        last = pieces[-1] if pieces else None
        if text is None:
            pieces.append(Piece(None))
        elif last is not None and last.text is not None and last.weight == weight:
            pieces[-1] = Piece(last.text + text, weight)
        else:
            pieces.append(Piece(text, weight))
    return pieces or [Piece("")]
