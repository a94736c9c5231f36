"""What networks that make pictures out of a random vector have in common."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["PictureGenerator"]


class PictureGenerator(nn.Module):
    """Makes pictures of one size.

    Attributes:
        z_dim: numbers of a random vector.
        num_classes: of which a picture can be; 0 where there are none.
        size: of a picture's sides, pixels.
    """

    z_dim: int
    num_classes: int
    size: int

    def forward(
        self,
        z: Tensor,
        labels: Tensor | None = None,
        truncation: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Make pictures.

        Args:
            z: (N, z_dim), normal; where the network wants it cut off, `draw` gives that.
            labels: (N,), classes, for a network that has some.
            truncation: 0 to 1, how far from the mean picture: less is surer and more alike.
            generator: of noise inside the network, on its device; None takes the stored noise, or none.

        Returns:
            (N, 3, size, size) in [0, 1].
        """
        raise NotImplementedError

    def draw(self, count: int, truncation: float, generator: torch.Generator) -> Tensor:
        """Random vectors as the network wants them, (count, z_dim)."""
        del truncation
        return torch.randn(count, self.z_dim, generator=generator)
