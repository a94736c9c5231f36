r"""Weights inside prompts, in the grammar that AUTOMATIC1111's web UI made common.

``(word)`` multiplies a weight by 1.1, ``[word]`` divides it by 1.1, ``(word:1.3)`` multiplies it by 1.3;
brackets nest, round and square ones apart from each other; ``\(``, ``\)``, ``\[``, ``\]`` and ``\\`` are the
characters themselves, a backslash before anything else is nothing; ``BREAK`` starts a new chunk of tokens.
A bracket that is never closed acts to the end of the prompt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: What one pair of plain brackets does.
STEP = 1.1
_TOKEN = re.compile(r"\\[\\()\[\]]|\\|\(|\[|:\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*\)|\)|\]|[^\\()\[\]:]+|:", re.X)
_COMMAND = re.compile(
    r"<(?:lora|lyco|hypernet):[^<>]*>|(?<!\\)\[[^\[\]]*:\s*\d*\.?\d+\s*\]|(?<!\\)\[[^\[\]]*\|[^\[\]]*\]|\bAND\b"
)
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
    round_: list[int] = []  # where each kind was opened: closing one looks past the other
    square: list[int] = []
    for match in _TOKEN.finditer(prompt):
        text, weight = match.group(0), match.group(1)
        if text in ("(", "["):
            (round_ if text == "(" else square).append(len(parts))
        elif (weight is not None or text == ")") and round_:
            _multiply(parts, round_.pop(), STEP if weight is None else float(weight))
        elif text == "]" and square:
            _multiply(parts, square.pop(), 1 / STEP)
        elif text.startswith("\\"):
            parts.append((text[1:], 1.0))
        else:
            parts.extend((piece, 1.0) for piece in _split_breaks(text))
    for start in round_:
        _multiply(parts, start, STEP)
    for start in square:
        _multiply(parts, start, 1 / STEP)
    return _joined(parts)


def taken_as_words(prompt: str) -> list[str]:
    """What of a prompt is a command to the web UI, and mere words here.

    Returns:
        Such as ``<lora:style:0.8>``, ``[cat:dog:0.5]``, ``[cat|dog]`` and ``AND``, in order.
    """
    return [match.group(0) for match in _COMMAND.finditer(prompt)]


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
