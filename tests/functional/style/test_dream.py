"""Dreams of an untrained network: what is asked of it goes up, whatever it sees."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from flowsynth.functional.style.dream import DreamSettings, carried, dream
from flowsynth.nets.likeness.lpips import Lpips

SETTINGS = DreamSettings(
    layers=(2,), octaves=2, octave_scale=1.5, steps=2, step_size=0.02, jitter=4, seed=0, least=32
)


@pytest.fixture(scope="module")
def network() -> Lpips:
    torch.manual_seed(0)
    return Lpips()


def picture(height: int = 64, width: int = 80, seed: int = 0) -> Tensor:
    smooth = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(smooth, size=(height, width), mode="bilinear")


def answer(network: Lpips, frame: Tensor, layer: int) -> float:
    with torch.no_grad():
        return float(list(network.layers(frame))[layer].square().mean())


@pytest.mark.parametrize("layer", [0, 2, 4])
def test_what_a_layer_answers_goes_up(network: Lpips, layer: int) -> None:
    given = picture()
    dreamt = dream(given, network.layers, replace(SETTINGS, layers=(layer,)))
    assert answer(network, dreamt, layer) > 1.1 * answer(network, given, layer)
    assert dreamt.shape == given.shape
    assert 0 <= float(dreamt.min()) <= float(dreamt.max()) <= 1


def test_one_step_goes_up_the_gradient_that_differences_show(network: Lpips) -> None:
    given = picture().double()
    double = Lpips().double()
    double.load_state_dict(network.state_dict())
    one = replace(SETTINGS, octaves=1, steps=1, jitter=0, step_size=1e-4)
    change = dream(given, double.layers, one) - given
    for y, x in ((20, 30), (41, 7)):
        nudged = given.clone()
        nudged[0, 1, y, x] += 1e-5
        slope = answer(double, nudged, 2) - answer(double, given, 2)
        assert (slope > 0) == (float(change[0, 1, y, x]) > 0)
    assert float(change.abs().mean()) == pytest.approx(1e-4, rel=0.02)


def test_the_seed_is_that_of_the_shifts(network: Lpips) -> None:
    first, again = (dream(picture(), network.layers, SETTINGS) for _ in range(2))
    other = dream(picture(), network.layers, replace(SETTINGS, seed=1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("size", [(5, 7), (31, 200), (33, 32)])
def test_frames_of_any_size(network: Lpips, size: tuple[int, int]) -> None:
    dreamt = dream(picture(*size), network.layers, replace(SETTINGS, layers=(4,), octaves=6))
    assert dreamt.shape[-2:] == size
    assert torch.isfinite(dreamt).all()


def test_what_was_dreamt_moves_on_with_what_it_lies_on() -> None:
    wide = picture(64, 96, seed=3)
    before, now = wide[..., :80], wide[..., 3:83]  # the camera goes 3 pixels to the right
    change = torch.rand(before.shape, generator=torch.Generator().manual_seed(2))
    change = torch.nn.functional.avg_pool2d(change, 5, stride=1, padding=2)
    moved = carried(now, before, change, 0.5)
    assert moved is not None
    inner = (..., slice(12, -12), slice(12, -12))
    assert torch.allclose(moved[inner], 0.5 * torch.roll(change, -3, 3)[inner], atol=0.05)


def test_a_cut_begins_anew() -> None:
    assert carried(torch.zeros(1, 3, 64, 80), picture(), torch.ones(1, 3, 64, 80), 0.5) is None
