"""VideoGPT gives what its authors' code gives of the same weights, and loads nothing but its layout."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from flowsynth.nets.clip_generation._gpt import looked_at
from flowsynth.nets.clip_generation.videogpt import VideoGpt, videogpt_from_state
from tests.nets.judged import judged

KINDS = {"videogpt": None, "videogpt_class": (2, 4, 4)}


def loaded(name: str) -> tuple[VideoGpt, dict[str, Tensor], dict[str, Tensor | None]]:
    """The network, what is known of it, and what it is given: a class, or first frames."""
    state, known = judged(name)
    first = known["first"] / 255 - 0.5 if "first" in known else None
    return videogpt_from_state(state, 4, KINDS[name]), known, {"label": known.get("label"), "first": first}


@pytest.mark.parametrize("name", KINDS)
def test_it_is_as_sure_of_each_code_as_theirs(name: str) -> None:
    network, known, given = loaded(name)
    ours = network.logits(known["codes"].long(), **given)[0]
    assert float(known["logits"].std()) > 0.3
    torch.testing.assert_close(ours, known["logits"], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", KINDS)
def test_with_kept_keys_it_is_as_sure_as_with_all_at_once(name: str) -> None:
    network, known, given = loaded(name)
    codes = known["codes"].long().flatten()[:64]
    told: list[Tensor] = []

    def choose(logits: Tensor, chance: torch.Generator) -> Tensor:
        told.append(logits[0])
        return codes[len(told) - 1 : len(told)]

    drawn = network.sample(torch.Generator(), choose, **given)
    for _ in range(len(codes)):
        next(drawn)
    torch.testing.assert_close(torch.stack(told), known["logits"][: len(codes)], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", KINDS)
def test_codes_become_a_clip_and_a_clip_codes_as_theirs(name: str) -> None:
    network, known, _ = loaded(name)
    clip = network.vqvae.decode(known["codes"].long())
    assert tuple(clip.shape[2:]) == network.clip_size
    torch.testing.assert_close(clip[..., ::2, ::2], known["decoded"], atol=1e-5, rtol=1e-5)
    source = known["source"] / 255 - 0.5
    torch.testing.assert_close(network.vqvae.features(source), known["features"], atol=1e-5, rtol=1e-5)
    assert float(known["features"].std()) > 0.01
    assert torch.equal(network.vqvae.encode(source), known["encoded"].long())


def test_sparse_attention_sees_less_and_nothing_later() -> None:
    sparse, full = looked_at((2, 8, 32), True), looked_at((2, 8, 32), False)
    assert not (sparse & ~full).any()
    assert 0.4 < float(sparse.sum() / full.sum()) < 0.8
    assert sparse.diagonal().all()
    assert sparse[500, 500 - 256], "its own block a frame before"
    assert not sparse[500, 500 - 256 - 64], "another one then"
    with pytest.raises(ValueError, match="do not fall into blocks of 32"):
        looked_at((1, 3, 15), True)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (lambda s: s.pop("fc_in.weight"), "no tensor 'fc_in.weight'"),
        (lambda s: s.update(extra=torch.zeros(1)), "a tensor 'extra' that the network hasn't"),
        (lambda s: s.update({"fc_out.weight": torch.zeros(16, 9)}), r"'fc_out.weight' has shape \(16, 9\)"),
        (lambda s: s.update({"norm.g": torch.zeros(24, dtype=torch.int64)}), "holds torch.int64"),
    ],
)
def test_other_layouts_are_refused(change: object, wrong: str) -> None:
    state, _ = judged("videogpt")
    change(state)  # type: ignore[operator]
    with pytest.raises(ValueError, match=wrong):
        videogpt_from_state(state)


def test_heads_and_strides_that_cannot_be_are_refused() -> None:
    state, _ = judged("videogpt_class")
    with pytest.raises(ValueError, match="of 5 heads: its width is 24"):
        videogpt_from_state(state, heads=5)
    with pytest.raises(ValueError, match="it has 2 convolutions that enlarge"):
        videogpt_from_state(state, strides=(8, 2, 2))
