from fractions import Fraction
from typing import Any

import pytest
import torch

from flowsynth.functional.cut.tiling import tile_by_context
from flowsynth.nets.interpolation.ifnet import SCALES, WIDE_SCALES, IFNet, ifnet_from_state, mix
from flowsynth.nets.layers import backward_warp
from flowsynth.nets.loading import unwrapped
from flowsynth.nets.staged import Stage, whole
from tests.nets.tiny import picture, tiny_ifnet

HALF = torch.full((1, 1, 1, 1), 0.5)


def test_a_warp_by_whole_pixels_is_a_shift() -> None:
    x = picture(9, 12)
    flow = torch.tensor([2.0, -1.0]).view(1, 2, 1, 1).expand(1, 2, 9, 12)
    out = backward_warp(x, flow)
    torch.testing.assert_close(out[..., 1:, :-2], x[..., :-1, 2:], atol=1e-5, rtol=0)
    torch.testing.assert_close(out[..., 0, :-2], x[..., 0, 2:], atol=1e-5, rtol=0)


@pytest.mark.parametrize("refine", [False, True])
def test_a_checkpoint_read_back_computes_the_same(refine: bool) -> None:
    network = tiny_ifnet(refine=True)
    state = {f"module.{k}": v for k, v in network.state_dict().items()}
    state["module.block_tea.lastconv.bias"] = torch.ones(5)
    loaded = ifnet_from_state(unwrapped(state), refine)
    first, second = picture(64, 128), picture(64, 128, seed=6)
    motion = network.motion(first, second, HALF)
    expected = mix(first, second, motion) + (network.residual(first, second, motion) if refine else 0)
    assert torch.equal(loaded(first, second, HALF), expected.clamp(0, 1))
    assert loaded(first, second, HALF).shape == first.shape


def test_fast_motion_is_searched_again_at_doubled_scales(monkeypatch: pytest.MonkeyPatch) -> None:
    network, seen = tiny_ifnet(), list[Any]()
    search = type(network)._search

    def watched(self: IFNet, *args: Any, **options: Any) -> Any:
        seen.append(args[3])
        return search(self, *args, **options)

    monkeypatch.setattr(type(network), "_search", watched)
    first, second = picture(64, 64), picture(64, 64, seed=6)
    slow = network.motion(first, second, HALF)
    assert seen == [SCALES]
    network.get_parameter("block1.lastconv.bias").data[:4] = 100
    fast = network.motion(first, second, HALF)
    assert seen == [SCALES, SCALES, WIDE_SCALES]
    assert not torch.equal(slow.flow, fast.flow)


def test_each_pair_of_a_batch_is_searched_as_it_would_be_alone() -> None:
    network = tiny_ifnet()
    still, other = picture(64, 64), picture(64, 64, seed=6)
    network.get_parameter("block1.lastconv.weight").data *= 5  # fast for pairs that differ much
    pairs = [(still, 0.9 * still), (still, 40 * other), (still, 0.95 * still)]
    moments = [torch.full((1, 1, 1, 1), m) for m in (0.25, 0.5, 0.75)]
    alone = [network.motion(a, b, m) for (a, b), m in zip(pairs, moments, strict=True)]
    firsts, seconds = (torch.cat(x) for x in zip(*pairs, strict=True))
    together = network.motion(firsts, seconds, torch.cat(moments))
    wide = [
        isinstance(network._search(a, b, m, SCALES, whole, watch=True), torch.Tensor)
        for (a, b), m in zip(pairs, moments, strict=True)
    ]
    assert wide == [False, True, False]
    for index, motion in enumerate(alone):
        assert_close(together.flow[index : index + 1], motion.flow)
        assert_close(together.logit[index : index + 1], motion.logit)


def assert_close(made: torch.Tensor, expected: torch.Tensor) -> None:
    """Equal within 1e-5 of the largest value: sums are taken in another order."""
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def in_smallest_tiles(stage: Stage, x: torch.Tensor) -> torch.Tensor:
    """Apply a stage to tiles of hardly more than their context."""
    tile = 2 * -(-stage.halo // stage.align) * stage.align + 64
    return tile_by_context(stage.apply, x, tile=tile, halo=stage.halo, scale=stage.scale, align=stage.align)


@pytest.mark.sample(1)
@pytest.mark.parametrize("fast", [False, True])
def test_tiles_give_what_the_whole_gives(fast: bool) -> None:
    network = tiny_ifnet(refine=True)
    if fast:
        network.get_parameter("block1.lastconv.bias").data[:4] = 100
    first, second = picture(448, 704), picture(448, 704, seed=6)
    whole_motion = network.motion(first, second, HALF)
    calls: list[tuple[int, ...]] = []

    def each(stage: Stage, x: torch.Tensor) -> torch.Tensor:
        calls.append((stage.halo, *x.shape[-2:]))
        return in_smallest_tiles(stage, x)

    motion = network.motion(first, second, HALF, each)
    assert_close(motion.flow, whole_motion.flow)
    assert_close(motion.logit, whole_motion.logit)
    assert sum(side < 448 for _, side, _ in calls) > 10, "most stages saw parts"
    if not fast:  # flows of 100 pixels drive random weights to where nothing but the sign is left
        corrected = network.residual(first, second, whole_motion, each)
        assert_close(corrected, network.residual(first, second, whole_motion))


def test_a_stage_sees_no_farther_than_it_says() -> None:
    """What lies beyond the halo of a pixel is made not a number, and the pixel stays one."""
    network = tiny_ifnet(refine=True)
    first, second = picture(448, 448), picture(448, 448, seed=6)
    reached: list[int] = []

    def each(stage: Stage, x: torch.Tensor) -> torch.Tensor:
        if min(x.shape[-2:]) > 2 * stage.halo + 2 * stage.align:
            low = (x.shape[-1] // 2) // stage.align * stage.align
            grid = max(stage.align, Fraction(stage.scale).denominator)
            seen = slice(max(0, low - stage.halo), low + grid + stage.halo)
            hidden = torch.where(x == x.round(), x, torch.nan)  # where a part lies is no pixel
            hidden[..., seen, seen] = x[..., seen, seen]
            kept = slice(int(low * stage.scale), max(int((low + grid) * stage.scale), 1))
            assert torch.equal(stage.apply(hidden)[..., kept, kept], stage.apply(x)[..., kept, kept])
            reached.append(stage.halo)
        return stage.apply(x)

    motion = network.motion(first, second, HALF, each)
    network.residual(first, second, motion, each)
    assert len(set(reached)) >= 5


def test_faults_are_named() -> None:
    network = tiny_ifnet()
    with pytest.raises(ValueError, match="multiples of 64, got 66x64"):
        network(picture(64, 66), picture(64, 66), HALF)
    state = network.state_dict()
    with pytest.raises(ValueError, match=r"no tensor 'contextnet\.conv1"):
        ifnet_from_state(unwrapped(state), refine=True)
    with pytest.raises(ValueError, match=r"no tensor 'block0\.lastconv\.weight'"):
        ifnet_from_state({"a": torch.ones(1)})
    with pytest.raises(ValueError, match=r"block2\.lastconv\.bias.*expected \(5,\)"):
        ifnet_from_state({**state, "block2.lastconv.bias": torch.ones(6)})


def test_half_precision_keeps_positions_exact() -> None:
    network = tiny_ifnet(refine=True)
    first, second = picture(64, 64), picture(64, 64, seed=6)
    exact = network(first, second, HALF)
    got = network.bfloat16()(first, second, HALF)
    assert got.dtype == torch.float32
    assert (got - exact).abs().mean() < 0.02
