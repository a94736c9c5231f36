import pytest
import torch

from flowsynth.nets.ifnet import SCALES, STRIDE, WIDE_SCALES, ifnet_from_state, mix
from flowsynth.nets.layers import backward_warp
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
    loaded = ifnet_from_state(state, refine)
    first, second = picture(64, 128), picture(64, 128, seed=6)
    motion = network.motion(first, second, HALF)
    expected = mix(first, second, motion) + (network.residual(first, second, motion) if refine else 0)
    assert torch.equal(loaded(first, second, HALF), expected.clamp(0, 1))
    assert loaded(first, second, HALF).shape == first.shape


def test_fast_motion_is_searched_again_at_doubled_scales(monkeypatch: pytest.MonkeyPatch) -> None:
    network, seen = tiny_ifnet(), []
    search = type(network)._search

    def watched(self, first, second, time, scales, watch=False):
        seen.append(scales)
        return search(self, first, second, time, scales, watch)

    monkeypatch.setattr(type(network), "_search", watched)
    first, second = picture(64, 64), picture(64, 64, seed=6)
    slow = network.motion(first, second, HALF)
    assert seen == [SCALES]
    network.get_submodule("block1").lastconv.bias.data[:4] = 100
    fast = network.motion(first, second, HALF)
    assert seen == [SCALES, SCALES, WIDE_SCALES]
    assert not torch.equal(slow.flow, fast.flow)


def test_faults_are_named() -> None:
    network = tiny_ifnet()
    with pytest.raises(ValueError, match=f"multiples of {STRIDE}, got 66x64"):
        network(picture(64, 66), picture(64, 66), HALF)
    state = network.state_dict()
    with pytest.raises(ValueError, match=r"no tensor 'contextnet\.conv1"):
        ifnet_from_state(state, refine=True)
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
