"""How strongly the blocks of a codec show."""

from __future__ import annotations

import torch
from torch import Tensor

#: Codecs of common use transform blocks of 8 pixels, or of multiples and halves of it.
BLOCK = 8
#: Keeps the ratio of two sums near nothing near one: a thirtieth of a level of 255.
_FLOOR = 1e-4


def steps(luma: Tensor) -> tuple[Tensor, Tensor]:
    """Return how far each step between neighbours stands out from the steps on either side of it.

    A picture's own edges do too, but nowhere in particular; a block's border does along its whole length.

    Args:
        luma: (T, H, W) in [0, 1].

    Returns:
        Means over frames and the other side, float64: (W - 3,) of steps along rows, the first between the
        second and the third pixel, and (H - 3,) along columns. Empty for sides below 4.
    """
    return _along(luma), _along(luma.transpose(-1, -2))


def blockiness(rows: Tensor, columns: Tensor) -> float:
    """Return how much the strongest grid of 8 pixels stands out, of what `steps` gives for a clip.

    Of the eight places where a grid may begin the strongest is set against the middle one (medians over
    the grid's lines, so a few true edges on them count little): 1.1 to 1.5 for what was never compressed or
    hardly, over 2 for JPEG below quality 40 and H.264 above CRF 33. Where the grid begins is not asked: clips
    are cropped. Close to the blocking measures of Wang, Bovik and Evans (ICIP 2000), without their spectrum.

    Returns:
        1 and more; 1 for pictures of less than 16 pixels on a side.
    """
    found = [_ratio(line) for line in (rows, columns) if line.numel() >= 2 * BLOCK - 3]
    return sum(found) / len(found) if found else 1.0


def _along(luma: Tensor) -> Tensor:
    if luma.shape[-1] < 4:
        return torch.empty(0, dtype=torch.float64)
    step = luma.diff(dim=-1).abs()
    beside = (step[..., :-2] + step[..., 2:]) / 2
    return (step[..., 1:-1] - beside).clamp_(min=0).double().mean((0, 1))


def _ratio(line: Tensor) -> float:
    grids = torch.stack([line[first::BLOCK].median() for first in range(BLOCK)])
    return float((grids.max() + _FLOOR) / (grids.median() + _FLOOR))
