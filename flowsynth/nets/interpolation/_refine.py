"""The network that corrects RIFE's mix: features of both frames, warped, and a U-shaped network."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import torch
from torch import Tensor, nn

from flowsynth.nets.layers import backward_warp, conv_prelu, pixel_places, resize_by
from flowsynth.nets.staged import Apply, Stage

__all__ = ["ContextNet", "RefineNet", "refinement"]

_LEVELS = 4
#: Both frames, both warped frames, the mask and two flows.
_INPUTS = 3 + 3 + 3 + 3 + 1 + 4
#: How far two convolutions, the first of stride 2, see: 1 pixel, and 1 of twice the size.
_DOWN_REACH = 3


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

    @property
    def numbers(self) -> int:
        """Held at once for each input pixel: the input, and two maps of a quarter of its pixels."""
        inner: nn.Conv2d = self.conv1[0]  # type: ignore[assignment]
        return inner.in_channels + -(-inner.out_channels // 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv2(self.conv1(x))
        return out


class ContextNet(nn.Module):
    """Features of a frame at 1/2, 1/4, 1/8 and 1/16.

    Args:
        width: channels of the first level; each next one has twice as many.
    """

    conv1: _Down

    def __init__(self, width: int) -> None:
        super().__init__()
        sizes = [3, *(width << level for level in range(_LEVELS))]
        for level in range(_LEVELS):
            setattr(self, f"conv{level + 1}", _Down(sizes[level], sizes[level + 1]))

    def features(self, frame: Tensor, each: Apply) -> list[Tensor]:
        """Return the levels' features of a frame (N, 3, H, W)."""
        found = [frame.to(self.conv1.dtype)]
        for level in range(_LEVELS):
            down: _Down = getattr(self, f"conv{level + 1}")
            found.append(each(Stage(down, _DOWN_REACH, Fraction(1, 2), down.numbers), found[-1]))
        return found[1:]


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

    @property
    def halo(self) -> int:
        """How far a correction sees, in pixels."""
        downs = sum(_DOWN_REACH << level for level in range(_LEVELS))
        return downs + sum(2 << level for level in range(_LEVELS)) + 1

    @property
    def numbers(self) -> int:
        """Held at once for each pixel: the input, the two largest maps, and the warped features."""
        return 2 * _INPUTS + 4 * self.conv.in_channels


def refinement(
    contexts: ContextNet,
    network: RefineNet,
    frames: tuple[Tensor, Tensor],
    motion: tuple[Tensor, Tensor],
    each: Apply,
) -> Tensor:
    """Return what to add to the mix of two frames: (N, 3, H, W) in [-1, 1].

    Args:
        contexts: makes both frames' features.
        network: sees them warped to the moment.
        frames: both, (N, 3, H, W) float32 in [0, 1]; sides multiples of 16.
        motion: flows (N, 4, H, W), in pixels, and the mask's logit (N, 1, H, W).
        each: applies a stage: as a whole, or in tiles.
    """
    features = [contexts.features(frame, each) for frame in frames]
    lattices = [pixel_places(level) for level in (frames[0], *features[0])]

    def correct(part: Tensor) -> Tensor:
        corner, both, flow, logit = torch.split(part, [2, 6, 4, 1], 1)
        flows = torch.split(flow, 2, 1)
        places = [_part(lattice, corner, level) for level, lattice in enumerate(lattices)]
        warped = [backward_warp(x, f, places[0]) for x, f in zip(frames, flows, strict=True)]
        levels = [_warped(f, own, places[1:]) for f, own in zip(flows, features, strict=True)]
        out: Tensor = network(torch.cat((both, *warped, logit, flow), 1), *levels)
        return out

    stage = Stage(correct, network.halo, 1, network.numbers, 1 << _LEVELS)
    return each(stage, torch.cat((_indices(frames[0]), *frames, *motion), 1))


def _indices(like: Tensor) -> Tensor:
    """Column and row of every pixel, (N, 2, H, W): from them a part knows where it lies."""
    height, width = like.shape[-2:]
    rows = torch.arange(height, device=like.device, dtype=like.dtype)[:, None].expand(height, width)
    columns = torch.arange(width, device=like.device, dtype=like.dtype).expand(height, width)
    return torch.stack((columns, rows)).expand(len(like), -1, -1, -1)


def _part(lattice: Tensor, indices: Tensor, level: int) -> Tensor:
    """The places of a part at a level, whose sides are halved so many times."""
    left, top = (int(corner) >> level for corner in indices[0, :, 0, 0])
    height, width = (side >> level for side in indices.shape[-2:])
    return lattice[..., top : top + height, left : left + width]


def _warped(flow: Tensor, features: Sequence[Tensor], places: Sequence[Tensor]) -> list[Tensor]:
    """Warp a frame's features for a part: level by level, at half the size of the one before."""
    out = []
    for level, place in zip(features, places, strict=True):
        flow = resize_by(flow, 0.5) * 0.5
        out.append(backward_warp(level, flow, place))
    return out
