r"""Weights inside prompts in ComfyUI's grammar, which differs from :mod:`.prompt_syntax`.

Round brackets alone weigh: ``(word)`` times 1.1; ``(word:1.3)`` is 1.3 whatever stands around it. ``\(`` and
``\)`` are the characters; ``[``, ``BREAK`` and all else are plain text. A bracket that is never closed weighs
nothing. Words are kept whole where a chunk of tokens ends.
"""

from __future__ import annotations

import re

from flowsynth.models.diffusion.prompt_syntax import STEP, Piece

_ESCAPED = {"\\(": "\0", "\\)": "\1"}
_NUMBER = re.compile(r":\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*$")
#: Deeper brackets are plain text.
_DEEPEST = 100


def parse_comfy(prompt: str) -> list[Piece]:
    """Split a prompt into words with their weights, in order.

    Args:
        prompt: such as ``a (red:1.3) house``.

    Returns:
        Pieces of one word each; one empty piece for an empty prompt.
    """
    text = prompt
    for escaped, mark in _ESCAPED.items():
        text = text.replace(escaped, mark)
    words = [
        Piece(_plain(word), weight)
        for run, weight in _weighed(text, 1.0, 0)
        for word in run.replace("\n", " ").split(" ")
        if word
    ]
    return words or [Piece("")]


def _plain(text: str) -> str:
    return text.replace("\0", "(").replace("\1", ")")


def _weighed(text: str, weight: float, depth: int) -> list[tuple[str, float]]:
    """Runs of text with their weights."""
    found: list[tuple[str, float]] = []
    for run, inside in _groups(text):
        if not inside or depth >= _DEEPEST:
            found.append((run, weight))
            continue
        inner, own = run[1:-1], weight * STEP
        if (match := _NUMBER.search(inner)) and match.start() > 0:
            inner, own = inner[: match.start()], float(match[1])
        found += _weighed(inner, own, depth + 1)
    return found


def _groups(text: str) -> list[tuple[str, bool]]:
    """The text in order: what stands in outermost brackets, these included, and what stands between."""
    found: list[tuple[str, bool]] = []
    start, depth = 0, 0
    for at, character in enumerate(text):
        if character == "(":
            if depth == 0 and at > start:
                found.append((text[start:at], False))
                start = at
            depth += 1
        elif character == ")" and depth:
            depth -= 1
            if depth == 0:
                found.append((text[start : at + 1], True))
                start = at + 1
    if start < len(text):
        found.append((text[start:], False))
    return found
