"""The network that corrects RIFE's mix: features of both frames, warped, and a U-shaped network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from flowsynth.nets.layers import backward_warp, conv_prelu, resize_by

__all__ = ["ContextNet", "RefineNet"]

_LEVELS = 4
#: Both frames, both warped frames, the mask and two flows.
_INPUTS = 3 + 3 + 3 + 3 + 1 + 4


class _Down(nn.Module):
    """Two convolutions, the first of stride 2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = conv_prelu(inputs, outputs, 2)
        self.conv2 = conv_prelu(outputs, outputs)

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return next(self.parameters()).dtype

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv2(self.conv1(x))
        return out


class ContextNet(nn.Module):
    """Features of a frame at 1/2, 1/4, 1/8 and 1/16, warped to the moment.

    Args:
        width: channels of the first level; each next one has twice as many.
    """

    conv1: _Down

    def __init__(self, width: int) -> None:
        super().__init__()
        sizes = [3, *(width << level for level in range(_LEVELS))]
        for level in range(_LEVELS):
            setattr(self, f"conv{level + 1}", _Down(sizes[level], sizes[level + 1]))

    def forward(self, frame: Tensor, flow: Tensor) -> list[Tensor]:
        """Return the levels' features, of a frame (N, 3, H, W) and its flow (N, 2, H, W)."""
        features: list[Tensor] = []
        x = frame.to(self.conv1.dtype)
        for level in range(_LEVELS):
            x = getattr(self, f"conv{level + 1}")(x)
            flow = resize_by(flow, 0.5) * 0.5
            features.append(backward_warp(x, flow))
        return features


class RefineNet(nn.Module):
    """Says what to add to the mix.

    Args:
        width: the context network's.
    """

    up0: nn.Sequential

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = 2 * width
        self.down0 = _Down(_INPUTS, inner)
        for level in range(1, _LEVELS):
            # A level sees the one before and both frames' features, in all twice its own channels.
            setattr(self, f"down{level}", _Down(inner << level, inner << level))
        ups = [(inner << _LEVELS, inner << (_LEVELS - 2))]
        ups += [(inner << level, inner << (level - 2)) for level in (3, 2)]
        ups.append((2 * inner, width))
        for level, (inputs, outputs) in enumerate(ups):
            layer = nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), nn.PReLU(outputs))
            setattr(self, f"up{level}", layer)
        self.conv = nn.Conv2d(width, 3, 3, 1, 1)

    def forward(self, x: Tensor, first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
        """Return (N, 3, H, W) in [-1, 1].

        Args:
            x: (N, 17, H, W): the frames, the warped frames, the mask, the flows.
            first: the first frame's features by `ContextNet`.
            second: the second frame's.
        """
        skips = [self.down0(x.to(self.conv.weight.dtype))]
        for level in range(1, _LEVELS):
            both = torch.cat((skips[-1], first[level - 1], second[level - 1]), 1)
            skips.append(getattr(self, f"down{level}")(both))
        y = self.up0(torch.cat((skips.pop(), first[-1], second[-1]), 1))
        for level in range(1, _LEVELS):
            y = getattr(self, f"up{level}")(torch.cat((y, skips.pop()), 1))
        out: Tensor = self.conv(y).to(x.dtype)
        return out.sigmoid() * 2 - 1
