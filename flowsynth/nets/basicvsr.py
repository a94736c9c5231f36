"""BasicVSR: video super-resolution x4 with features handed on in both directions (arXiv 2012.02181)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowsynth.nets.loading import load_exactly
from flowsynth.nets.spynet import SPyNet

__all__ = ["BasicVSR", "basicvsr_from_state"]

_SLOPE = 0.1
_SCALE = 4


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

    def forward(self, frame: Tensor, features: Tensor) -> Tensor:
        """`(N, 3, H, W)` and `(N, width, H, W)` to the new features."""
        return self.main(torch.cat((frame, features), dim=1))  # type: ignore[no-any-return]


class BasicVSR(nn.Module):
    """Enlarges a clip by four; every frame draws on all others through features warped along the flow.

    Args:
        width: channels of the features.
        blocks: residual blocks of a trunk.
    """

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
        return torch.cat(list(self.frames(frames)))

    def frames(self, frames: Tensor) -> Iterator[Tensor]:
        """Yield the enlarged frames one by one; the features of one direction are all that is kept."""
        earlier, later = frames[:-1], frames[1:]
        backward_features = self._backwards(frames)
        features = frames.new_zeros(1, self.width, *frames.shape[-2:])
        for i in range(len(frames)):
            if i:
                features = _warp(features, self.spynet(later[i - 1 : i], earlier[i - 1 : i]))
            features = self.forward_trunk(frames[i : i + 1], features)
            yield self._enlarge(frames[i : i + 1], backward_features[i], features)

    def _backwards(self, frames: Tensor) -> list[Tensor]:
        """Return the features of each frame that come from the frames after it."""
        features = frames.new_zeros(1, self.width, *frames.shape[-2:])
        found = []
        for i in reversed(range(len(frames))):
            if i < len(frames) - 1:
                features = _warp(features, self.spynet(frames[i : i + 1], frames[i + 1 : i + 2]))
            features = self.backward_trunk(frames[i : i + 1], features)
            found.append(features)
        return found[::-1]

    def _enlarge(self, frame: Tensor, behind: Tensor, ahead: Tensor) -> Tensor:
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


def basicvsr_from_state(state: Mapping[str, Tensor]) -> BasicVSR:
    """Build the network of a checkpoint; its width and depth are read off the tensors.

    Raises:
        ValueError: the tensors are not BasicVSR's.
    """
    fusion = state.get("fusion.weight")
    if fusion is None or fusion.ndim != 4:
        raise ValueError("not a BasicVSR checkpoint: it has no tensor 'fusion.weight'")
    numbers = [int(k.split(".")[3]) for k in state if k.startswith("forward_trunk.main.2.")]
    with torch.device("meta"):
        network = BasicVSR(fusion.shape[0], 1 + max(numbers, default=-1))
    return load_exactly(network, state, "a BasicVSR checkpoint")
