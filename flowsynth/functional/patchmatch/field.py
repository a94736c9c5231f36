"""Nearest-neighbour fields: for each pixel of a target picture, the pixel of a source that matches it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Field", "identity"]


@dataclass(frozen=True, slots=True)
class Field:
    """For each target pixel the row and column of its match in the source, both `(B, H, W)` int64."""

    rows: Tensor
    columns: Tensor

    def stretched(self, factor: float) -> Field:
        """Return the field with all displacements multiplied: where steady motion leads in other time."""
        own = identity(self.rows[:, None])
        rows, columns = (
            (at + (to - at) * factor).round().long().clamp(0, size - 1)
            for at, to, size in zip(
                (own.rows, own.columns), (self.rows, self.columns), self.rows.shape[1:], strict=True
            )
        )
        return Field(rows, columns)


def identity(picture: Tensor) -> Field:
    """Return the field in which each pixel of a picture `(B, C, H, W)` matches itself."""
    batch, _, height, width = picture.shape
    rows = torch.arange(height, device=picture.device)[None, :, None].expand(batch, height, width)
    columns = torch.arange(width, device=picture.device).expand(batch, height, width)
    return Field(rows.contiguous(), columns.contiguous())
