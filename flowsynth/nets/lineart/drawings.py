"""The generator of Informative Drawings, photographs to lines (Chan, Durand and Isola, arXiv 2203.12691).

Names of tensors are the published ones; it is the network behind ControlNet's lineart annotator.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from flowsynth.nets.architecture import Architecture, SizeNeeds, State
from flowsynth.nets.loading import load_exactly

__all__ = ["ARCHITECTURE", "DrawingGenerator", "drawings_from_state"]

_WHAT = "a checkpoint of Informative Drawings"


class ResidualBlock(nn.Module):
    """Two convolutions, normalised over the picture, added to what came."""

    def __init__(self, width: int) -> None:
        super().__init__()
        first = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width), nn.ReLU()]
        second = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width)]
        self.conv_block = nn.Sequential(*first, *second)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) to the same shape."""
        return x + self.conv_block(x)  # type: ignore[no-any-return]


class DrawingGenerator(nn.Module):
    """Draws a picture: encoder, residual blocks at a quarter of the size, decoder.

    Args:
        width: channels at full size.
        blocks: residual blocks.
    """

    #: The inner layers mirror a pixel at a quarter of the size.
    needs = SizeNeeds(multiple=4, least=8)

    def __init__(self, width: int = 64, blocks: int = 3) -> None:
        super().__init__()
        self.model0 = _sided(3, width, nn.InstanceNorm2d(width), nn.ReLU())
        down: list[nn.Module] = []
        up: list[nn.Module] = []
        for channels in (width, 2 * width):
            wide = 2 * channels
            down += [nn.Conv2d(channels, wide, 3, 2, 1), nn.InstanceNorm2d(wide), nn.ReLU()]
            larger = nn.ConvTranspose2d(wide, channels, 3, 2, 1, output_padding=1)
            up = [larger, nn.InstanceNorm2d(channels), nn.ReLU(), *up]
        self.model1 = nn.Sequential(*down)
        self.model2 = nn.Sequential(*[ResidualBlock(4 * width) for _ in range(blocks)])
        self.model3 = nn.Sequential(*up)
        self.model4 = _sided(width, 1, nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """From frames (N, 3, H, W) in [0, 1], of any size, to dark lines on white, (N, 1, H, W) in [0, 1]."""
        height, width = x.shape[-2:]
        x = self.needs.filled(x)
        for part in (self.model0, self.model1, self.model2, self.model3, self.model4):
            x = part(x)
        return x[..., :height, :width]


def _sided(inputs: int, outputs: int, *after: nn.Module) -> nn.Sequential:
    """Build a 7x7 convolution that mirrors at the border."""
    return nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(inputs, outputs, 7), *after)


def drawings_from_state(state: State) -> DrawingGenerator:
    """Build the network that a checkpoint's shapes describe, and load it.

    Raises:
        ValueError: names or shapes of another network.
    """
    first = state.get("model0.1.weight")
    if first is None or first.ndim != 4:
        raise ValueError(f"not {_WHAT}: it has no tensor 'model0.1.weight' of a convolution")
    blocks = len({name.split(".")[1] for name in state if name.startswith("model2.")})
    with torch.device("meta"):
        network = DrawingGenerator(int(first.shape[0]), blocks)
    return load_exactly(network, state, _WHAT)


def _fits(state: State) -> bool:
    return "model0.1.weight" in state and "model4.1.weight" in state


ARCHITECTURE = Architecture("drawings", "model0.1 to model4.1", _fits, drawings_from_state)
