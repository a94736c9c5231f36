"""The compact super-resolution network of Real-ESRGAN: a plain chain of convolutions at low resolution."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowsynth.nets.architecture import Architecture, State
from flowsynth.nets.loading import load_exactly
from flowsynth.nets.staged import Stage, StagedNetwork

__all__ = ["ARCHITECTURE", "SRVGG", "srvgg_from_state"]

_WHAT = "a compact (SRVGG) checkpoint"


class SRVGG(StagedNetwork):
    """Convolutions with PReLU at the input's size, then a pixel shuffle, added to the enlarged input.

    After "SRVGGNetCompact" of Real-ESRGAN (arXiv 2107.10833); names of tensors are the published ones.

    Args:
        width: channels inside.
        depth: convolutions between the first and the last.
        scale: enlargement.
    """

    def __init__(self, width: int = 64, depth: int = 16, scale: int = 4) -> None:
        super().__init__()
        self.scale, self.width = scale, width
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 1, 1), nn.PReLU(width)]
        for _ in range(depth):
            layers += [nn.Conv2d(width, width, 3, 1, 1), nn.PReLU(width)]
        self.body = nn.Sequential(*layers, nn.Conv2d(width, 3 * scale**2, 3, 1, 1))
        self.reach = depth + 2

    def run(self, x: Tensor, each: Callable[[Stage, Tensor], Tensor]) -> Tensor:
        """Pass a picture; see `StagedNetwork.run`."""
        # A layer's input, its result and that after the PReLU; in the end the details, twice.
        numbers = max(3 * self.width, self.width + 6 * self.scale**2)
        return each(Stage(self._whole, self.reach, self.scale, numbers), x)

    def _whole(self, x: Tensor) -> Tensor:
        detail = F.pixel_shuffle(self.body(x), self.scale)
        return detail + F.interpolate(x, scale_factor=self.scale, mode="nearest")


def _fits(state: State) -> bool:
    """Whether the names are those of a compact network."""
    return "body.0.weight" in state and "body.1.weight" in state and state["body.1.weight"].ndim == 1


def srvgg_from_state(state: State) -> SRVGG:
    """Build the network that a checkpoint's shapes describe, and load it.

    Raises:
        ValueError: names or shapes of another network.
    """
    last = len({n.split(".")[1] for n in state if n.startswith("body.")}) - 1
    if not _fits(state) or last < 2 or last % 2:
        raise ValueError(f"not {_WHAT}: expected body.0.weight to body.N.weight with N even, PReLU between")
    outputs = int(state[f"body.{last}.weight"].shape[0])
    scale = math.isqrt(outputs // 3)
    if 3 * scale**2 != outputs or not scale:
        raise ValueError(f"not {_WHAT}: its last layer has {outputs} outputs, expected 3 x a square")
    with torch.device("meta"):
        network = SRVGG(int(state["body.0.weight"].shape[0]), last // 2 - 1, scale)
    return load_exactly(network, state, _WHAT)


ARCHITECTURE = Architecture("srvgg", "body.0, body.1, ... of the compact network", _fits, srvgg_from_state)
