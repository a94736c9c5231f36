"""Generators give what other implementations give of the same weights, and load nothing but their layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from flowsynth.nets.generation.biggan import biggan_from_state
from flowsynth.nets.generation.stylegan2 import stylegan2_from_state
from flowsynth.nets.spectral import folded
from flowsynth.nets.translation.pix2pix import pix2pix_from_state
from flowsynth.nets.translation.spade import spade_from_state
from tests.nets.judged import judged

BUILDERS: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "biggan": biggan_from_state,
    "stylegan2": stylegan2_from_state,
    "pix2pix": pix2pix_from_state,
    "spade": spade_from_state,
}


def close(ours: Tensor, theirs: Tensor) -> None:
    expected = (theirs.clamp(-1, 1) + 1) / 2
    torch.testing.assert_close(ours[..., ::4, ::4], expected, atol=1e-5, rtol=0)
    assert float(expected.std()) > 0.02


@pytest.mark.parametrize("truncation", [0.5, 1.0])
def test_biggan(truncation: float) -> None:
    state, known = judged("biggan")
    made = biggan_from_state(state)(known["z"], known["labels"], truncation)
    close(made, known[f"out_{round(10 * truncation)}"])
    assert made.shape == (2, 3, 64, 64)


def test_biggans_statistics_are_mixed_between_two_truncations() -> None:
    network = biggan_from_state(judged("biggan")[0])
    norm, x = network.generator.bn, torch.randn(1, 4, 2, 2)
    at = [norm.normalised(x, truncation) for truncation in (0.5, 0.5001, 0.75, 0.9999, 1.0)]
    torch.testing.assert_close(at[0], at[1], atol=1e-2, rtol=1e-2)
    torch.testing.assert_close(at[3], at[4], atol=1e-2, rtol=1e-2)
    assert not torch.allclose(at[0], at[4], atol=0.05)


def test_biggans_vectors_are_cut_off_and_shrunk() -> None:
    network = biggan_from_state(judged("biggan")[0])
    drawn = network.draw(20000, 0.5, torch.Generator().manual_seed(0))
    assert float(drawn.abs().max()) <= 1.0
    # The deviation of a normal distribution cut off at two: 0.8796.
    assert float(drawn.std()) == pytest.approx(0.5 * 0.8796, rel=0.01)


@pytest.mark.parametrize("psi", [0.6, 1.0])
def test_stylegan2(psi: float) -> None:
    state, known = judged("stylegan2")
    made = stylegan2_from_state(state)(known["z"], None, psi)
    close(made, known[f"out_{round(10 * psi)}"])
    assert made.shape == (2, 3, 16, 16)


def test_stylegan2_without_a_mean_style_takes_that_of_many_vectors() -> None:
    state, _ = judged("stylegan2")
    mean = state.pop("latent_avg")
    network = stylegan2_from_state(state)
    assert float((network.latent_avg - mean).norm() / mean.norm()) < 0.15


def test_stylegan2s_noise_follows_its_generator() -> None:
    state, known = judged("stylegan2")
    network = stylegan2_from_state(state)
    first, again, other = (
        network(known["z"], None, 1.0, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_spade() -> None:
    state, known = judged("spade")
    made = spade_from_state(state)(known["labels"])
    close(made, known["out"])
    unknown = torch.where(known["labels"] == 6, 255, known["labels"])
    assert torch.equal(spade_from_state(state)(unknown), made), "labels that there are none of are the last"


def test_pix2pix() -> None:
    state, known = judged("pix2pix")
    network, picture = pix2pix_from_state(state), known["picture"] / 255
    close(network(picture), known["out"])
    first, again, other = (network(picture, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other), "dropout is what its pictures differ by"
    assert network(picture[..., :100, :77]).shape == (1, 3, 100, 77)


@pytest.mark.parametrize("name", BUILDERS)
def test_a_tensor_less_or_more_or_of_another_shape_is_named(name: str) -> None:
    state, _ = judged(name)
    optional = ("num_batches_tracked", "weight_v", "latent_avg", "running_mean")
    for chosen in [n for n in sorted(state) if not n.endswith(optional)][::23]:
        without = {n: t for n, t in state.items() if n != chosen}
        with pytest.raises((ValueError, KeyError)):
            BUILDERS[name](without)
        other = {**state, chosen: torch.cat((state[chosen].flatten(), torch.zeros(1)))}
        with pytest.raises((ValueError, RuntimeError, LookupError, TypeError)):
            BUILDERS[name](other)
    with pytest.raises(ValueError, match="surplus"):
        BUILDERS[name]({**state, "surplus": torch.zeros(1)})


def test_spectral_normalisation_folds_into_the_weight() -> None:
    with torch.no_grad():
        layer = nn.Sequential(nn.utils.spectral_norm(nn.Conv2d(3, 5, 3)))
        x = torch.randn(1, 3, 6, 6)
        for _ in range(200):
            layer(x)
        layer.eval()
        state = folded(layer.state_dict())
        expected = layer(x)
        torch.testing.assert_close(nn.functional.conv2d(x, state["0.weight"], state["0.bias"]), expected)
        early = {n: t for n, t in layer.state_dict().items() if n != "0.weight_v"}
        torch.testing.assert_close(folded(early)["0.weight"], state["0.weight"], atol=1e-5, rtol=1e-4)
    matrix = state["0.weight"].flatten(1)
    assert float(torch.linalg.svdvals(matrix)[0]) == pytest.approx(1, abs=1e-4)
    with pytest.raises(ValueError, match="weight_u"):
        folded({"a.weight_orig": torch.zeros(2, 2)})
    with pytest.raises(ValueError, match=r"a\.weight_orig"):
        folded({"a.weight_v": torch.zeros(2)})
