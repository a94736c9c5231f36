"""HED: edges of things by a VGG16 watched at five scales (Xie and Tu, "Holistically-nested edge detection").

The layout is that of the HED which came with ControlNet, so its checkpoint loads by name. One in the shape of
the original has a layer besides, ``fuse``, that weighs the five scales.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowsynth.nets.architecture import Architecture, SizeNeeds, State
from flowsynth.nets.loading import load_exactly

__all__ = ["ARCHITECTURE", "HED", "hed_from_state"]

_WHAT = "a HED checkpoint"
#: Channels and convolutions of VGG16's five stages.
_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
#: Mean of the pictures that VGG16 was trained on, RGB in [0, 255].
_MEAN = (122.67892, 116.66877, 104.00699)


class Stage(nn.Module):
    """Convolutions at one scale, and the edges seen there.

    Args:
        inputs: channels that come.
        width: channels inside.
        depth: convolutions.
    """

    def __init__(self, inputs: int, width: int, depth: int) -> None:
        super().__init__()
        channels = (inputs, *[width] * depth)
        self.convs = nn.ModuleList([nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(channels)])
        self.projection = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """From (N, C, H, W) to features (N, width, H, W) and logits of edges (N, 1, H, W)."""
        for conv in self.convs:
            x = F.relu_(conv(x))
        return x, self.projection(x)


class HED(nn.Module):
    """Probability of an edge at each pixel.

    Args:
        stages: channels and convolutions of each stage.
        fused: weigh the scales by a layer ``fuse``; else their logits are averaged.
    """

    #: Every stage halves evenly, so that no scale is shifted.
    needs = SizeNeeds(multiple=16)

    def __init__(self, stages: tuple[tuple[int, int], ...] = _STAGES, fused: bool = True) -> None:
        super().__init__()
        self.norm = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.depth = len(stages)
        inputs = 3
        for number, (width, depth) in enumerate(stages, start=1):
            self.add_module(f"block{number}", Stage(inputs, width, depth))
            inputs = width
        self.fuse = nn.Conv2d(self.depth, 1, 1) if fused else None

    def forward(self, x: Tensor) -> Tensor:
        """From frames (N, 3, H, W), RGB in [0, 1], of any size, to edges (N, 1, H, W) in [0, 1]."""
        height, width = x.shape[-2:]
        x = self.needs.filled(x)
        size = x.shape[-2:]
        x, seen = (255 * x - self.norm).contiguous(memory_format=torch.channels_last), []
        for number in range(1, self.depth + 1):
            if number > 1:
                x = F.max_pool2d(x, 2)
            x, logits = self.get_submodule(f"block{number}")(x)
            seen.append(F.interpolate(logits, size=size, mode="bilinear", align_corners=False))
        scales = torch.cat(seen, 1)
        logits = scales.mean(1, keepdim=True) if self.fuse is None else self.fuse(scales)
        return torch.sigmoid(logits)[..., :height, :width]


def hed_from_state(state: State) -> HED:
    """Build and load the network of a checkpoint.

    Without a tensor ``norm`` the checkpoint is one for Caffe's input, BGR less the mean of VGG16's pictures;
    its first layer is turned to RGB.

    Raises:
        ValueError: names or shapes of another network.
    """
    state = dict(state)
    first = "block1.convs.0.weight"
    if "norm" not in state and first in state:
        state["norm"] = torch.tensor(_MEAN).view(1, 3, 1, 1)
        state[first] = state[first].flip(1)
    stages = tuple(_stage(state, number) for number in range(1, len(_STAGES) + 1))
    with torch.device("meta"):
        network = HED(stages, fused="fuse.weight" in state)
    return load_exactly(network, state, _WHAT)


def _stage(state: State, number: int) -> tuple[int, int]:
    """Read a stage's channels and depth off a checkpoint."""
    depth = 0
    while f"block{number}.convs.{depth}.weight" in state:
        depth += 1
    if not depth:
        raise ValueError(f"not {_WHAT}: it has no tensor 'block{number}.convs.0.weight'")
    return int(state[f"block{number}.convs.0.weight"].shape[0]), depth


def _fits(state: State) -> bool:
    return "block1.convs.0.weight" in state and "block1.projection.weight" in state


ARCHITECTURE = Architecture("hed", "block1.convs.0 to block5.projection", _fits, hed_from_state)
