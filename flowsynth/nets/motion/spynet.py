"""SPyNet: optical flow by a pyramid of small convolutional networks (Ranjan and Black 2017).

The layout is that of the SPyNet inside published BasicVSR checkpoints, so their tensors load by name.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowsynth.nets.architecture import Architecture, SizeNeeds, State
from flowsynth.nets.layers import backward_warp
from flowsynth.nets.loading import load_exactly
from flowsynth.nets.staged import Apply, Stage, whole

__all__ = ["ARCHITECTURE", "SPyNet", "spynet_from_state"]

_LEVELS = 6
_STRIDE = 2 ** (_LEVELS - 1)
_PREFIX = "spynet."
#: Reach of a level's five convolutions of 7x7, and the numbers that they hold for each pixel at most.
_REACH, _NUMBERS = 15, 160
#: Mean and deviation of the pictures that it was trained on (ImageNet's), RGB in [0, 1].
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class BasicModule(nn.Module):
    """One level: improves a flow, given both frames and the flow so far."""

    def __init__(self) -> None:
        super().__init__()
        widths = (8, 32, 64, 32, 16, 2)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 7, padding=3), nn.ReLU()]
        self.basic_module = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """`(N, 8, H, W)`, two pictures and a flow, to the correction `(N, 2, H, W)`."""
        return self.basic_module(x)  # type: ignore[no-any-return]


class SPyNet(nn.Module):
    """Estimates the flow from one frame to another, coarse to fine over six levels."""

    needs = SizeNeeds(tiled=True)
    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.basic_module = nn.ModuleList([BasicModule() for _ in range(_LEVELS)])
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1))

    def forward(self, first: Tensor, second: Tensor, each: Apply = whole) -> Tensor:
        """Estimate `first(x) = second(x + flow(x))`.

        Args:
            first: `(N, 3, H, W)` in [0, 1], any size.
            second: the same shape.
            each: applies the convolutions of a level: as a whole, or in tiles.

        Returns:
            `(N, 2, H, W)` float32, (dx, dy) in pixels.
        """
        height, width = first.shape[-2:]
        size = tuple(-(-side // _STRIDE) * _STRIDE for side in (height, width))
        a, b = (F.interpolate(x, size=size, mode="bilinear", align_corners=False) for x in (first, second))
        flow = self._coarse_to_fine(a, b, each)
        flow = F.interpolate(flow, size=(height, width), mode="bilinear", align_corners=False)
        return flow * flow.new_tensor([width / size[1], height / size[0]]).view(1, 2, 1, 1)

    def _coarse_to_fine(self, first: Tensor, second: Tensor, each: Apply) -> Tensor:
        """Estimate for sides that are multiples of 32."""
        pyramid = [((first - self.mean) / self.std, (second - self.mean) / self.std)]
        for _ in range(_LEVELS - 1):
            a, b = pyramid[-1]
            pyramid.append((F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)))
        wide = torch.promote_types(first.dtype, torch.float32)  # half floats can't tell the pixels of a row
        flow = torch.zeros_like(pyramid[-1][0][:, :2], dtype=wide)
        for level, (a, b) in enumerate(reversed(pyramid)):
            if level:
                flow = 2 * F.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=True)
            seen = torch.cat((a, backward_warp(b, flow), flow.to(a.dtype)), dim=1)
            flow = flow + each(Stage(self.basic_module[level], _REACH, 1, _NUMBERS), seen).to(wide)
        return flow


def spynet_from_state(state: State) -> SPyNet:
    """Build the network of a checkpoint: SPyNet's own, or one of BasicVSR's, which holds it.

    Raises:
        ValueError: the tensors are not SPyNet's.
    """
    inside = {k.removeprefix(_PREFIX): v for k, v in state.items() if k.startswith(_PREFIX)}
    with torch.device("meta"):
        network = SPyNet()
    return load_exactly(network, inside or state, "a SPyNet checkpoint")


def _fits(state: State) -> bool:
    first = "basic_module.0.basic_module.0.weight"
    return first in state or _PREFIX + first in state


ARCHITECTURE = Architecture("spynet", "basic_module.0 to basic_module.5", _fits, spynet_from_state)
