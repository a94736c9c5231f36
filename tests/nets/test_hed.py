from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from flowsynth.nets.edges.hed import hed_from_state
from flowsynth.weights.naming import named_keras
from tests.nets.tiny import picture, tiny_hed


@pytest.mark.parametrize("size", [(1, 1), (17, 31), (32, 48)])
def test_any_size(size: tuple[int, int]) -> None:
    edges = tiny_hed()(picture(*size))
    assert edges.shape == (1, 1, *size)
    assert 0 <= edges.min() < edges.max() <= 1 or size == (1, 1)


def test_padding_leaves_what_is_far_from_it_where_it_was() -> None:
    """Sides that don't halve evenly must not shift or stretch the coarse scales."""
    network, whole = tiny_hed(), picture(256, 256)
    cut = network(whole[..., :250, :241])
    assert torch.equal(cut[..., :16, :16], network(whole)[..., :16, :16])


@pytest.mark.parametrize("fused", [True, False])
def test_both_layouts_load(fused: bool) -> None:
    network, x = tiny_hed(fused), picture(20, 24)
    network.norm.data += 100
    assert torch.equal(hed_from_state(network.state_dict())(x), network(x))
    if not fused:  # the mean of the scales
        other = tiny_hed(True)
        other.load_state_dict({**other.state_dict(), **network.state_dict()})
        assert other.fuse is not None
        assert other.fuse.bias is not None
        other.fuse.weight.data.fill_(0.2)
        other.fuse.bias.data.zero_()
        torch.testing.assert_close(other(x), network(x))


def test_one_in_caffes_order_of_colours_is_turned() -> None:
    network, x = tiny_hed(), picture(20, 24)
    network.norm.data = torch.tensor([122.67892, 116.66877, 104.00699]).view(1, 3, 1, 1)
    expected = network(x)
    state = network.state_dict()
    del state["norm"]
    state["block1.convs.0.weight"] = state["block1.convs.0.weight"].flip(1)
    assert torch.equal(hed_from_state(state)(x), expected)


def test_kerass_names_and_layout_become_ours() -> None:
    state = tiny_hed().state_dict()
    del state["norm"]
    saved = {}
    for name, tensor in state.items():
        layer, kind = name.rsplit(".", 1)
        stem, _, rest = layer.partition(".")
        if rest == "projection":
            stem = f"dsn{stem[-1]}"
        elif rest:
            number = int(rest.removeprefix("convs."))
            stem += "/layers/conv2d" + (f"_{number}" if number else "")
        array = tensor.numpy()
        saved[f"{stem}/vars/{int(kind == 'bias')}"] = (
            array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
        )
    assert "block3/layers/conv2d_2/vars/1" in saved
    found = named_keras(saved, "hed")
    assert set(found) == set(state)
    assert all(np.array_equal(found[name], tensor.numpy()) for name, tensor in state.items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {}, r"no tensor 'block1\.convs\.0\.weight'"),
        (lambda s: {**s, "more": s["fuse.bias"]}, "a tensor 'more'"),
        (lambda s: {k: v for k, v in s.items() if k != "fuse.bias"}, r"no tensor 'fuse\.bias'"),
        (lambda s: {k: v for k, v in s.items() if not k.startswith("block5")}, "block5"),
    ],
)
def test_other_checkpoints_are_refused(
    change: Callable[[dict[str, torch.Tensor]], Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        hed_from_state(change(tiny_hed().state_dict()))
