"""Networks on pictures as a chain of stages, so that a picture can pass in tiles without seams or waste."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

from torch import Tensor, nn

from flowsynth.nets.architecture import SizeNeeds

__all__ = ["Apply", "Stage", "StagedNetwork", "whole"]


class Stage(NamedTuple):
    """A step of a network that sees no farther than `halo` pixels.

    Attributes:
        apply: maps (N, C, h, w) to (N, C', h * scale, w * scale).
        halo: reach to one side, in the stage's input pixels.
        scale: output pixels per input pixel.
        numbers: that are held at once for each input pixel, at most: what a tile's size follows from.
        align: stride of the coarsest grid inside, in input pixels, where it is coarser than 1 / scale.
    """

    apply: Callable[[Tensor], Tensor]
    halo: int
    scale: Fraction | int
    numbers: int
    align: int = 1


#: Applies a stage to its input: as a whole, or in tiles.
Apply = Callable[[Stage, Tensor], Tensor]


def whole(stage: Stage, x: Tensor) -> Tensor:
    """Apply a stage to all of its input at once."""
    return stage.apply(x)


class StagedNetwork(nn.Module):
    """A network whose stages may each be applied in tiles.

    The reach of a deep network is hundreds of pixels; that of a stage is a few. Tiled stage by stage, only
    the narrow feature maps between stages are as large as the picture, and a tile needs next to no context.

    Attributes:
        scale: output pixels per input pixel of the whole network.
        needs: what sizes it takes.
    """

    scale: int = 1
    needs: SizeNeeds = SizeNeeds(tiled=True)

    def run(self, x: Tensor, each: Apply) -> Tensor:
        """Pass `x` through the stages.

        Args:
            x: (N, 3, H, W) in [0, 1].
            each: applies one stage: as a whole, or in tiles.

        Returns:
            (N, 3, H * scale, W * scale), not clamped.
        """
        raise NotImplementedError(f"{type(self).__qualname__} has no stages")

    def forward(self, x: Tensor) -> Tensor:
        """Pass a picture whole."""
        return self.run(x, whole)
