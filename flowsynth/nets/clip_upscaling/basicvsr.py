"""BasicVSR: video super-resolution x4 with features handed on in both directions (arXiv 2012.02181)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowsynth.nets.architecture import Architecture, SizeNeeds, State
from flowsynth.nets.loading import load_exactly
from flowsynth.nets.motion.spynet import SPyNet
from flowsynth.nets.staged import Apply, Stage, whole

__all__ = ["ARCHITECTURE", "BasicVSR", "basicvsr_from_state"]

_SLOPE = 0.1
_SCALE = 4
_BLOCKS_AT_ONCE = 5
#: Convolutions at one, two and four times the size reach 1 + 1/2 + 1/4 + 1/4 pixels; three maps of 64
#: channels at four times the size are held at once.
_TAIL_REACH, _TAIL_NUMBERS = 2, 3 * 64 * _SCALE**2


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), without normalisation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """`(N, width, H, W)` to the same."""
        return x + self.conv2(F.relu(self.conv1(x)))  # type: ignore[no-any-return]


class Trunk(nn.Module):
    """Merges a frame with the features that were handed on."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        residual = nn.Sequential(*(ResidualBlock(width) for _ in range(blocks)))
        self.main = nn.Sequential(nn.Conv2d(3 + width, width, 3, padding=1), nn.LeakyReLU(_SLOPE), residual)

    def forward(self, frame: Tensor, features: Tensor, each: Apply = whole) -> Tensor:
        """`(N, 3, H, W)` and `(N, width, H, W)` to the new features."""
        # Held for a pixel: the merged input; a block's input, both its results, and one before its ReLU.
        numbers = 5 * features.shape[1]
        x = each(Stage(self.main[:2], 1, 1, numbers), torch.cat((frame, features), dim=1))
        residual = list(cast("nn.Sequential", self.main[2]))
        for start in range(0, len(residual), _BLOCKS_AT_ONCE):
            blocks = residual[start : start + _BLOCKS_AT_ONCE]
            x = each(Stage(nn.Sequential(*blocks), 2 * len(blocks), 1, numbers), x)
        return x


def _as_it_is(features: Tensor) -> Tensor:
    return features


class BasicVSR(nn.Module):
    """Enlarges a clip by four; every frame draws on all others through features warped along the flow.

    Args:
        width: channels of the features.
        blocks: residual blocks of a trunk.
    """

    needs = SizeNeeds(tiled=True)

    def __init__(self, width: int = 64, blocks: int = 30) -> None:
        super().__init__()
        self.width = width
        self.spynet = SPyNet()
        self.backward_trunk, self.forward_trunk = Trunk(width, blocks), Trunk(width, blocks)
        self.fusion = nn.Conv2d(2 * width, width, 1)
        self.upconv1 = nn.Conv2d(width, 4 * width, 3, padding=1)
        self.upconv2 = nn.Conv2d(width, 4 * 64, 3, padding=1)
        self.conv_hr = nn.Conv2d(64, 64, 3, padding=1)
        self.conv_last = nn.Conv2d(64, 3, 3, padding=1)

    def forward(self, frames: Tensor) -> Tensor:
        """`(T, 3, H, W)` in [0, 1] to `(T, 3, 4 H, 4 W)`; sides of at least 64 pixels are what it knows."""
        return torch.cat(list(self.frames(frames, range(len(frames)))))

    def frames(
        self, frames: Tensor, keep: range, each: Apply = whole, put_by: Callable[[Tensor], Tensor] = _as_it_is
    ) -> Iterator[Tensor]:
        """Yield some of the enlarged frames one by one.

        Args:
            frames: `(T, 3, H, W)` in [0, 1].
            keep: the frames to yield, consecutive; the others are there to be drawn on.
            each: applies a part of the network: as a whole, or in tiles.
            put_by: keeps features, `(1, width, H, W)`, until the frame's turn: one for each frame to yield.
        """
        waiting = self._backwards(frames, keep, each, put_by)
        features = frames.new_zeros(1, self.width, *frames.shape[-2:])
        for i in range(keep.stop):
            frame = frames[i : i + 1]
            if i:
                features = _warp(features, self.spynet(frame, frames[i - 1 : i], each))
            features = self.forward_trunk(frame, features, each)
            if i >= keep.start:
                behind = waiting.pop().to(features.device)
                seen = torch.cat((frame, behind, features), dim=1)
                yield each(Stage(self._enlarge, _TAIL_REACH, _SCALE, _TAIL_NUMBERS), seen)

    def _backwards(
        self, frames: Tensor, keep: range, each: Apply, put_by: Callable[[Tensor], Tensor]
    ) -> list[Tensor]:
        """Return the features that come from the frames after each kept one, the last frame's first."""
        features = frames.new_zeros(1, self.width, *frames.shape[-2:])
        found = []
        for i in reversed(range(keep.start, len(frames))):
            if i < len(frames) - 1:
                flow = self.spynet(frames[i : i + 1], frames[i + 1 : i + 2], each)
                features = _warp(features, flow)
            features = self.backward_trunk(frames[i : i + 1], features, each)
            if i < keep.stop:
                found.append(put_by(features))
        return found

    def _enlarge(self, seen: Tensor) -> Tensor:
        frame, behind, ahead = seen.split_with_sizes([3, self.width, self.width], dim=1)
        x = F.leaky_relu(self.fusion(torch.cat((behind, ahead), dim=1)), _SLOPE)
        x = F.leaky_relu(F.pixel_shuffle(self.upconv1(x), 2), _SLOPE)
        x = F.leaky_relu(F.pixel_shuffle(self.upconv2(x), 2), _SLOPE)
        x = self.conv_last(F.leaky_relu(self.conv_hr(x), _SLOPE))
        base = F.interpolate(frame, scale_factor=_SCALE, mode="bilinear", align_corners=False)
        return x + base  # type: ignore[no-any-return]


def _warp(features: Tensor, flow: Tensor) -> Tensor:
    """Bring features into place; beyond the border they are zero, as in training."""
    height, width = features.shape[-2:]
    down = torch.arange(height, device=flow.device, dtype=flow.dtype)[:, None].expand(height, width)
    right = torch.arange(width, device=flow.device, dtype=flow.dtype).expand(height, width)
    position = torch.stack((right, down), dim=-1) + flow.permute(0, 2, 3, 1)
    last = position.new_tensor([max(width - 1, 1), max(height - 1, 1)])
    grid = 2 * position / last - 1
    moved = F.grid_sample(features.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=True)
    return moved.to(features.dtype)


def basicvsr_from_state(state: State) -> BasicVSR:
    """Build the network of a checkpoint; its width and depth are read off the tensors.

    Raises:
        ValueError: the tensors are not BasicVSR's.
    """
    fusion = state.get("fusion.weight")
    if fusion is None or fusion.ndim != 4:
        raise ValueError("not a BasicVSR checkpoint: it has no tensor 'fusion.weight'")
    numbers = {k.split(".")[3] for k in state if k.startswith("forward_trunk.main.2.")}
    with torch.device("meta"):
        network = BasicVSR(fusion.shape[0], len(numbers))
    return load_exactly(network, state, "a BasicVSR checkpoint")


def _fits(state: State) -> bool:
    return "fusion.weight" in state and "forward_trunk.main.0.weight" in state


ARCHITECTURE = Architecture("basicvsr", "fusion and forward_trunk", _fits, basicvsr_from_state)
