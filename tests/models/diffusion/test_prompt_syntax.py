from __future__ import annotations

import pytest

from flowsynth.models.diffusion.prompt_syntax import Piece, parse_prompt


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a red cat", [("a red cat", 1.0)]),
        ("", [("", 1.0)]),
        ("a (red) cat", [("a ", 1.0), ("red", 1.1), (" cat", 1.0)]),
        ("a ((red)) cat", [("a ", 1.0), ("red", 1.21), (" cat", 1.0)]),
        ("a [red] cat", [("a ", 1.0), ("red", 1 / 1.1), (" cat", 1.0)]),
        ("(red:1.3)", [("red", 1.3)]),
        ("(red: .5 )", [("red", 0.5)]),
        ("(a (red:2):1.5) b", [("a ", 1.5), ("red", 3.0), (" b", 1.0)]),
        (r"\(red\) \[cat\] \\", [("(red) [cat] \\", 1.0)]),
        ("red) [blue", [("red) ", 1.0), ("blue", 1 / 1.1)]),
        ("(unclosed red", [("unclosed red", 1.1)]),
        ("time 12:30 (ratio 3:4)", [("time 12:30 ", 1.0), ("ratio 3", 1.0 * 4)]),
        ("a BREAK b", [("a", 1.0), (None, 1.0), ("b", 1.0)]),
        ("(a BREAK b:1.2)", [("a", 1.2), (None, 1.0), ("b", 1.2)]),
        ("BREAKFAST", [("BREAKFAST", 1.0)]),
        ("(red:1..3)", [("red:1..3", 1.1)]),
        (":", [(":", 1.0)]),
    ],
)
def test_prompts_are_read_as_the_web_ui_reads_them(prompt, expected) -> None:
    pieces = parse_prompt(prompt)
    assert [piece.text for piece in pieces] == [text for text, _ in expected]
    assert [piece.weight for piece in pieces] == pytest.approx([weight for _, weight in expected])


def test_neighbours_of_equal_weight_are_one_piece() -> None:
    assert parse_prompt("(a:1.0) b") == [Piece("a b", 1.0)]
