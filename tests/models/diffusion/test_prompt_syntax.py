from __future__ import annotations

import pytest

from flowsynth.models.diffusion.prompt_syntax import Piece, parse_prompt, taken_as_words


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
        ("([cat)]", [("cat", 1.0)]),
        ("a (b [c) d]", [("a ", 1.0), ("b ", 1.1), ("c", 1.0), (" d", 1 / 1.1)]),
        ("[a (b] c:2)", [("a ", 1 / 1.1), ("b", 2 / 1.1), (" c", 2.0)]),
        ("(a [b", [("a ", 1.1), ("b", 1.0)]),
        ("a \\b c\\", [("a b c", 1.0)]),
        (r"(a\:1.5)", [("a", 1.5)]),
        ("[(a:1.1)]", [("a", 1.0)]),
    ],
)
def test_prompts_are_read_as_the_web_ui_reads_them(prompt: str, expected: list[tuple[str, float]]) -> None:
    pieces = parse_prompt(prompt)
    assert [piece.text for piece in pieces] == [text for text, _ in expected]
    assert [piece.weight for piece in pieces] == pytest.approx([weight for _, weight in expected])


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a <lora:style:0.8> cat", ["<lora:style:0.8>"]),
        ("[cat:dog:0.5] and [:hat:.3] and [hat::7]", ["[cat:dog:0.5]", "[:hat:.3]", "[hat::7]"]),
        ("[cat|dog] AND a house AND", ["[cat|dog]", "AND", "AND"]),
        ("[blurry], (red:1.2), a|b, AND-gate", ["AND"]),
        (r"\[cat:dog:0.5] SAND", []),
        ("[time 12:30]", ["[time 12:30]"]),
    ],
)
def test_commands_of_the_web_ui_are_found(prompt: str, expected: list[str]) -> None:
    assert taken_as_words(prompt) == expected


def test_neighbours_of_equal_weight_are_one_piece() -> None:
    assert parse_prompt("(a:1.0) b") == [Piece("a b", 1.0)]
