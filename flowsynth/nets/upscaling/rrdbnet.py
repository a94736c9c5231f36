"""ESRGAN's generator: residual-in-residual dense blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowsynth.nets.architecture import Architecture, SizeNeeds, State
from flowsynth.nets.loading import load_exactly
from flowsynth.nets.staged import Stage, StagedNetwork
from flowsynth.nets.upscaling._layouts import renamed

__all__ = ["ARCHITECTURE", "RRDBNet", "rrdbnet_from_state"]

_WHAT = "an RRDBNet checkpoint"
_UNITS = 5  # convolutions of a dense block
_SLOPE, _RESIDUAL = 0.2, 0.2


class DenseBlock(nn.Module):
    """Five convolutions, each of which sees all before it (arXiv 1809.00219, figure 4).

    Args:
        width: channels in and out.
        growth: channels that each of the first four adds.
    """

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        for unit in range(_UNITS):
            outputs = growth if unit < _UNITS - 1 else width
            setattr(self, f"conv{unit + 1}", nn.Conv2d(width + unit * growth, outputs, 3, 1, 1))
        self.width, self.growth = width, growth

    def forward(self, x: Tensor) -> Tensor:
        """Return x plus a fifth of what the convolutions find."""
        batch, _, height, width = x.shape
        known = x.new_empty(batch, self.width + (_UNITS - 1) * self.growth, height, width)
        if x.is_contiguous(memory_format=torch.channels_last):
            known = known.contiguous(memory_format=torch.channels_last)
        known[:, : self.width] = x
        end = self.width
        for unit in range(1, _UNITS):
            found = getattr(self, f"conv{unit}")(known[:, :end])
            known[:, end : end + self.growth] = F.leaky_relu_(found, _SLOPE)
            end += self.growth
        last: Tensor = getattr(self, f"conv{_UNITS}")(known)
        return last.mul_(_RESIDUAL).add_(x)


class RRDB(nn.Module):
    """Three dense blocks in a residual."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = DenseBlock(width, growth)
        self.rdb2 = DenseBlock(width, growth)
        self.rdb3 = DenseBlock(width, growth)


class RRDBNet(StagedNetwork):
    """Dense blocks at low resolution, then nearest-neighbour doublings with convolutions.

    Names of tensors are those of BasicSR's checkpoints.

    Args:
        width: channels between blocks.
        blocks: RRDBs.
        growth: channels that a dense unit adds.
        doublings: x2 enlargements after the blocks.
        unshuffle: factor by which the input is folded into channels first (2 in the x2 checkpoints).
    """

    def __init__(
        self, width: int = 64, blocks: int = 23, growth: int = 32, doublings: int = 2, unshuffle: int = 1
    ) -> None:
        super().__init__()
        self.scale, self.doublings = 2**doublings // unshuffle, doublings
        self.needs = SizeNeeds(multiple=unshuffle, tiled=True)
        self.width, self.growth = width, growth
        self.conv_first = nn.Conv2d(3 * unshuffle**2, width, 3, 1, 1)
        self.body = nn.Sequential(*(RRDB(width, growth) for _ in range(blocks)))
        self.conv_body = nn.Conv2d(width, width, 3, 1, 1)
        for step in range(1, doublings + 1):
            setattr(self, f"conv_up{step}", nn.Conv2d(width, width, 3, 1, 1))
        self.conv_hr = nn.Conv2d(width, width, 3, 1, 1)
        self.conv_last = nn.Conv2d(width, 3, 3, 1, 1)

    def run(self, x: Tensor, each: Callable[[Stage, Tensor], Tensor]) -> Tensor:
        """Pass a picture; see `StagedNetwork.run`."""
        if self.needs.multiple > 1:
            x = F.pixel_unshuffle(x, self.needs.multiple)
        width, growth = self.width, self.growth
        shallow = each(Stage(self.conv_first, 1, 1, 2 * width), x)
        deep = shallow
        for block in cast("Iterable[RRDB]", self.body):
            before = deep
            for unit in (block.rdb1, block.rdb2, block.rdb3):
                deep = each(Stage(unit, _UNITS, 1, 3 * width + _UNITS * growth), deep)
            deep = torch.add(before, deep, alpha=_RESIDUAL)
        deep = each(Stage(self.conv_body, 1, 1, 2 * width), deep).add_(shallow)
        del shallow
        # A convolution at twice the size reaches half as far: all of the tail's stay below these pixels.
        # Two feature maps of the last size, and the picture.
        tail = (2 * width + 3) * 4**self.doublings
        return each(Stage(self._enlarge, self.doublings + 2, 2**self.doublings, tail), deep)

    def _enlarge(self, x: Tensor) -> Tensor:
        for step in range(1, self.doublings + 1):
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = F.leaky_relu_(getattr(self, f"conv_up{step}")(x), _SLOPE)
        out: Tensor = self.conv_last(F.leaky_relu_(self.conv_hr(x), _SLOPE))
        return out


def _fits(state: State) -> bool:
    """Whether the names are those of an RRDBNet, in any layout."""
    return _is_newest(renamed(state))


def _is_newest(state: State) -> bool:
    return "conv_first.weight" in state and "body.0.rdb1.conv1.weight" in state


def rrdbnet_from_state(state: State) -> RRDBNet:
    """Build the network that a checkpoint's shapes describe, and load it.

    Takes ESRGAN's first layout and BasicSR's older and newer.

    Raises:
        ValueError: names or shapes of another network.
    """
    state = renamed(state)
    if not _is_newest(state):
        raise ValueError(f"not {_WHAT}: it has no tensor 'conv_first.weight' or 'body.0.rdb1.conv1.weight'")
    width, inputs = (int(side) for side in state["conv_first.weight"].shape[:2])
    unshuffle = {3: 1, 12: 2, 48: 4}.get(inputs)
    if unshuffle is None:
        raise ValueError(f"not {_WHAT} for colour pictures: its first layer has {inputs} inputs, expected 3")
    blocks = len({n.split(".")[1] for n in state if n.startswith("body.")})
    growth = int(state["body.0.rdb1.conv1.weight"].shape[0])
    doublings = sum(n.startswith("conv_up") and n.endswith(".weight") for n in state)
    with torch.device("meta"):
        network = RRDBNet(width, blocks, growth, doublings, unshuffle)
    return load_exactly(network, state, _WHAT)


ARCHITECTURE = Architecture("rrdbnet", "conv_first, or model.0 and model.1.sub", _fits, rrdbnet_from_state)
