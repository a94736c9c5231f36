"""What networks that turn one picture into another have in common."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from flowsynth.nets.architecture import SizeNeeds

__all__ = ["PictureTranslator"]


class PictureTranslator(nn.Module):
    """Makes a picture out of a picture of the same size.

    Attributes:
        reads: ``rgb``, or ``labels``: which class each pixel is of.
        num_labels: classes of pixels, where it reads labels.
        needs: sizes it takes.
    """

    reads: Literal["rgb", "labels"] = "rgb"
    num_labels: int = 0
    needs: SizeNeeds

    def forward(self, picture: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Make a picture.

        Args:
            picture: (1, 3, H, W) in [0, 1]; or labels, (1, 1, H, W) of whole numbers.
            generator: of what is left to chance, on the picture's device; None leaves nothing to chance.

        Returns:
            (1, 3, H, W) in [0, 1].
        """
        raise NotImplementedError
