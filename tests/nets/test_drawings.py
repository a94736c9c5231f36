from collections.abc import Callable
from typing import Any

import pytest
import torch

from flowsynth.nets.lineart.drawings import DrawingGenerator, drawings_from_state
from tests.nets.tiny import picture, randomised

#: Names and shapes of the published checkpoints, of which ControlNet's sk_model.pth is one.
PUBLISHED = {
    "model0.1.weight": (64, 3, 7, 7),
    "model0.1.bias": (64,),
    "model1.0.weight": (128, 64, 3, 3),
    "model1.0.bias": (128,),
    "model1.3.weight": (256, 128, 3, 3),
    "model1.3.bias": (256,),
    **{f"model2.{n}.conv_block.{k}.weight": (256, 256, 3, 3) for n in range(3) for k in (1, 5)},
    **{f"model2.{n}.conv_block.{k}.bias": (256,) for n in range(3) for k in (1, 5)},
    "model3.0.weight": (256, 128, 3, 3),
    "model3.0.bias": (128,),
    "model3.3.weight": (128, 64, 3, 3),
    "model3.3.bias": (64,),
    "model4.1.weight": (1, 64, 7, 7),
    "model4.1.bias": (1,),
}


def tiny() -> DrawingGenerator:
    return randomised(DrawingGenerator(width=4, blocks=2))


def test_the_layout_is_the_published_one() -> None:
    with torch.device("meta"):
        network = DrawingGenerator()
    assert {name: tuple(t.shape) for name, t in network.state_dict().items()} == PUBLISHED


@pytest.mark.parametrize("size", [(1, 1), (5, 31), (24, 36)])
def test_any_size(size: tuple[int, int]) -> None:
    out = tiny()(picture(*size))
    assert out.shape == (1, 1, *size)
    assert 0 < out.min() <= out.max() < 1


def test_a_checkpoint_loads_by_its_own_width_and_depth() -> None:
    network, x = tiny(), picture(24, 20)
    assert torch.equal(drawings_from_state(network.state_dict())(x), network(x))


def test_it_computes_what_the_paper_draws() -> None:
    """Layer by layer, by plain functions on the tensors' names."""
    from torch.nn import functional as F

    network, x = tiny(), picture(24, 20)
    w = network.state_dict()

    def conv(x: torch.Tensor, name: str, pad: int = 0, **more: int) -> torch.Tensor:
        x = F.pad(x, (pad,) * 4, mode="reflect") if pad else x
        return F.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], **more)

    def norm(x: torch.Tensor) -> torch.Tensor:
        centred = x - x.mean((2, 3), keepdim=True)
        return centred / (centred.square().mean((2, 3), keepdim=True) + 1e-5).sqrt()

    y = norm(conv(x, "model0.1", 3)).relu()
    for name in ("model1.0", "model1.3"):
        y = norm(conv(y, name, stride=2, padding=1)).relu()
    for n in range(2):
        z = norm(conv(y, f"model2.{n}.conv_block.1", 1)).relu()
        y = y + norm(conv(z, f"model2.{n}.conv_block.5", 1))
    for name in ("model3.0", "model3.3"):
        y = F.conv_transpose2d(y, w[f"{name}.weight"], w[f"{name}.bias"], 2, 1, 1)
        y = norm(y).relu()
    torch.testing.assert_close(network(x), conv(y, "model4.1", 3).sigmoid(), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {}, r"no tensor 'model0\.1\.weight'"),
        (lambda s: {**s, "more": s["model4.1.bias"]}, "a tensor 'more'"),
        (lambda s: {k: v for k, v in s.items() if "model3.3" not in k}, r"no tensor 'model3\.3\.weight'"),
    ],
)
def test_other_checkpoints_are_refused(
    change: Callable[[dict[str, torch.Tensor]], Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        drawings_from_state(change(tiny().state_dict()))
