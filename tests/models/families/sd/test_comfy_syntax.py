"""ComfyUI's weights of words: the grammar, and where they move the states."""

from __future__ import annotations

import pytest
import torch

from flowsynth.models.diffusion.comfy_syntax import parse_comfy
from flowsynth.models.families.sd.text import encode_prompts, split_chunks
from tests.models.families.sd.test_text import encoder


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a cat", [("a", 1), ("cat", 1)]),
        ("a (red) cat", [("a", 1), ("red", 1.1), ("cat", 1)]),
        ("((red))", [("red", 1.21)]),
        ("(a (red:1.5) cat:0.5)", [("a", 0.5), ("red", 1.5), ("cat", 0.5)]),
        ("(red:.3)", [("red", 0.3)]),
        ("(red:much)", [("red:much", 1.1)]),
        (r"a \(red\) cat", [("a", 1), ("(red)", 1), ("cat", 1)]),
        ("[red] BREAK cat", [("[red]", 1), ("BREAK", 1), ("cat", 1)]),
        ("a (red cat", [("a", 1), ("(red", 1), ("cat", 1)]),
        ("red) cat", [("red)", 1), ("cat", 1)]),
        ("", [("", 1)]),
        ("(:1.2)", [(":1.2", 1.1)]),
    ],
)
def test_the_grammar(prompt: str, expected: list[tuple[str, float]]) -> None:
    found = parse_comfy(prompt)
    assert [piece.text for piece in found] == [text for text, _ in expected]
    assert [piece.weight for piece in found] == pytest.approx([weight for _, weight in expected])


def test_a_prompt_without_weights_is_that_of_the_other_grammar() -> None:
    one, two = (encode_prompts(encoder(), ["a red cat, of the sky"], syntax=s) for s in ("comfy", "weights"))
    assert torch.equal(one, two)


def test_a_weight_moves_states_away_from_the_empty_prompt_s() -> None:
    plain, empty = encode_prompts(encoder(), ["a red cat", ""], syntax="comfy")
    weighed = encode_prompts(encoder(), ["a (red:1.5) cat"], syntax="comfy")[0]
    (chunk,) = split_chunks(encoder(), "a (red:1.5) cat", "comfy")
    for k, weight in enumerate(chunk.weights):
        assert torch.allclose(weighed[k], empty[k] + weight * (plain[k] - empty[k]), atol=1e-6)
    assert sum(weight != 1 for weight in chunk.weights) == 1


def test_a_word_stays_in_one_chunk() -> None:
    filled = " ".join(["a"] * 74)
    first, second = split_chunks(encoder(), f"{filled} xyz", "comfy")
    assert first.ids.count(encoder().tokenizer.eos_token_id) > 1  # the end is filled
    assert len(split_chunks(encoder(), f"{filled} xyz", "weights")) == 2
    assert second.ids[1:4] == tuple(encoder().tokenizer("xyz", add_special_tokens=False).input_ids)
