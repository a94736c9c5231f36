"""Text states against diffusers and against what the grammar promises."""

from __future__ import annotations

import copy
import functools
import warnings
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import save_file
from transformers import CLIPTextModel, CLIPTokenizer

from flowsynth.core.errors import InputError, RequestError
from flowsynth.models.diffusion.travel import travel
from flowsynth.models.families.sd.adapters import read_embedding, with_words, word_ids
from flowsynth.models.families.sd.spec import TextualInversion
from flowsynth.models.families.sd.text import TextEncoder, encode_prompts, prompt_notes, split_chunks
from tests.tiny import tiny_sd


@functools.lru_cache(maxsize=1)
def encoder() -> TextEncoder:
    base = tiny_sd() / "base"
    net = CLIPTextModel.from_pretrained(base / "text_encoder", local_files_only=True)
    return TextEncoder(net.eval(), CLIPTokenizer.from_pretrained(base / "tokenizer", local_files_only=True))


def pipeline(text: TextEncoder) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return StableDiffusionPipeline(
            vae=None, text_encoder=text.net, tokenizer=text.tokenizer, unet=None, scheduler=None,
            safety_checker=None, feature_extractor=None, requires_safety_checker=False,
        )  # fmt: skip


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.equal(a, b)


@pytest.mark.parametrize("prompt", ["", "a red cat", "a painting of the sky, blue house - 12", "a " * 75])
def test_plain_prompts_equal_diffusers_bit_for_bit(prompt: str) -> None:
    theirs, negative = pipeline(encoder()).encode_prompt(prompt, "cpu", 1, True, "bad blurry")
    assert same(encode_prompts(encoder(), [prompt]), theirs)
    assert same(encode_prompts(encoder(), [prompt, "bad blurry"])[1:], negative)


def test_clip_skip_takes_an_earlier_layer_and_the_final_norm() -> None:
    net, ids = (
        encoder().net,
        encoder().tokenizer("a red cat", padding="max_length", return_tensors="pt").input_ids,
    )
    with torch.no_grad():
        hidden = net.embeddings(ids)
        mask = torch.full((1, 1, 77, 77), float("-inf")).triu(1)
        for layer in net.encoder.layers[:-1]:
            hidden = layer(hidden, mask)
        expected = net.final_layer_norm(hidden)
    skipped = encode_prompts(encoder(), ["a red cat"], clip_skip=1)
    assert torch.allclose(skipped, expected, atol=1e-5)
    assert not torch.allclose(skipped, encode_prompts(encoder(), ["a red cat"]), atol=1e-2)


def test_clip_skip_works_on_an_encoder_with_an_inner_text_model() -> None:
    class Outer(torch.nn.Module):
        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.text_model, self.config, self.device = inner, inner.config, inner.device

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return self.text_model(*args, **kwargs)

    outer = TextEncoder(Outer(encoder().net), encoder().tokenizer)
    assert same(
        encode_prompts(outer, ["a cat"], clip_skip=2), encode_prompts(encoder(), ["a cat"], clip_skip=2)
    )


def test_too_large_a_clip_skip_is_refused() -> None:
    with pytest.raises(RequestError, match="clip_skip is 3, but the text encoder has 3 layers; at most 2"):
        encode_prompts(encoder(), ["a cat"], clip_skip=3)


def test_a_weight_scales_its_tokens_and_restores_the_mean() -> None:
    net = copy.deepcopy(encoder().net)
    torch.nn.init.constant_(net.final_layer_norm.bias, -0.3)
    shifted = TextEncoder(net, encoder().tokenizer)
    plain = encode_prompts(shifted, ["a red cat"])
    weighted = encode_prompts(shifted, ["a (red:1.5) cat"])
    factor = torch.ones(77)
    factor[2] = 1.5
    expected = plain * factor[None, :, None]
    expected = expected * (plain.mean() / expected.mean())
    assert torch.allclose(weighted, expected, atol=1e-5)
    assert weighted.mean().item() == pytest.approx(plain.mean().item(), rel=1e-4)


def test_plain_syntax_takes_brackets_as_text() -> None:
    theirs, _ = pipeline(encoder()).encode_prompt("a (red) cat", "cpu", 1, False)
    assert same(encode_prompts(encoder(), ["a (red) cat"], syntax="plain"), theirs)


def test_long_prompts_become_chunks_and_the_negative_fits_them() -> None:
    long = "a red cat " * 40
    positive, negative = encode_prompts(encoder(), [long, "bad"])
    assert positive.shape == negative.shape == (154, 32)
    first = encode_prompts(encoder(), ["a red cat " * 25])[0]
    assert same(positive[:77], first)
    assert same(negative[:77], encode_prompts(encoder(), ["bad"])[0])
    assert same(negative[77:], encode_prompts(encoder(), [""])[0])


def test_break_starts_a_new_chunk() -> None:
    both = encode_prompts(encoder(), ["a red cat BREAK blue sky"])[0]
    assert same(both[:77], encode_prompts(encoder(), ["a red cat"])[0])
    assert same(both[77:], encode_prompts(encoder(), ["blue sky"])[0])


def learned(vectors: int, path: Any, key: str = "<style>") -> Any:
    tensor = torch.randn(vectors, 32, generator=torch.Generator().manual_seed(4))
    save_file({key: tensor}, path)
    return path


@pytest.mark.parametrize("vectors", [1, 3])
def test_a_learned_word_equals_diffusers(tmp_path: Any, vectors: int) -> None:
    file = learned(vectors, tmp_path / "style.safetensors")
    words = [read_embedding(TextualInversion(source={"path": str(file)}))]
    net = with_words(encoder().net, words)
    ours = TextEncoder(net, encoder().tokenizer, word_ids(words, len(encoder().tokenizer)))
    result = encode_prompts(ours, ["a <style> cat", "a cat"])
    base = tiny_sd() / "base"
    fresh = TextEncoder(
        CLIPTextModel.from_pretrained(base / "text_encoder", local_files_only=True).eval(),
        CLIPTokenizer.from_pretrained(base / "tokenizer", local_files_only=True),
    )
    pipe = pipeline(fresh)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe.load_textual_inversion(str(file))
    theirs, _ = pipe.encode_prompt("a <style> cat", "cpu", 1, False)
    assert torch.allclose(result[:1], theirs, atol=1e-6)
    assert same(result[1:], encode_prompts(encoder(), ["a cat"]))


def test_the_vectors_of_a_word_are_never_parted(tmp_path: Any) -> None:
    words = [read_embedding(TextualInversion(source={"path": str(learned(4, tmp_path / "s.safetensors"))}))]
    text = TextEncoder(encoder().net, encoder().tokenizer, word_ids(words, 130))
    chunks = split_chunks(text, "a " * 73 + "<style>")
    assert [len(set(c.ids) & {130, 131, 132, 133}) for c in chunks] == [0, 4]


def test_a_learned_word_matches_whatever_its_case(tmp_path: Any) -> None:
    words = [
        read_embedding(
            TextualInversion(source={"path": str(learned(2, tmp_path / "s.safetensors", "StYle"))})
        )
    ]
    net = with_words(encoder().net, words)
    text = TextEncoder(net, encoder().tokenizer, word_ids(words, len(encoder().tokenizer)))
    one, two, three = (encode_prompts(text, [f"a {word} cat"]) for word in ("style", "STYLE", "StYle"))
    assert same(one, two)
    assert same(one, three)
    assert not same(one, encode_prompts(encoder(), ["a style cat"]))
    with pytest.raises(InputError, match=r"'style' is declared twice \(capitals don't count\)"):
        word_ids([*words, ("style", words[0][1])], 130)


def test_what_a_prompt_does_not_do_is_told() -> None:
    prompts = ["a (red:1.2) [cat|dog] <lora:x:1>", "bad AND [a:b:3], [cat|dog]"]
    told = "read as plain words, not as commands: [cat|dog], <lora:x:1>, AND, [a:b:3]"
    assert prompt_notes([], prompts, "weights") == [told]
    assert prompt_notes([], prompts, "plain") == []
    assert prompt_notes(["Style", "<w>", "do"], ["a STYLE dog", "no <w>"], "weights") == [
        "no prompt uses the learned word 'do'"
    ]


def test_a_travelling_prompt_is_interpolated_linearly() -> None:
    states = torch.stack([torch.zeros(2, 3), torch.ones(2, 3), torch.full((2, 3), 5.0)])
    path = travel(states, [2, 6, 8], 10)
    assert path[:, 0, 0].tolist() == [0, 0, 0, 0.25, 0.5, 0.75, 1, 3, 5, 5]
    assert travel(states[:1], [0], 10).shape == (1, 2, 3)
