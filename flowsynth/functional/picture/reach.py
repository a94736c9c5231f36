"""Masks that reach farther or less far: grey-scale morphology (Serra 1982)."""

from torch import Tensor
from torch.nn import functional as F

__all__ = ["grown"]


def grown(mask: Tensor, by: int, *, taper: bool = False) -> Tensor:
    """Take the greatest value within some pixels, or the least.

    Args:
        mask: `(N, C, H, W)`.
        by: pixels; negative for the least.
        taper: within that many steps along rows and columns (a diamond), not in a square.

    Returns:
        Like `mask`; beyond the frame nothing counts.
    """
    if by == 0:
        return mask
    if by < 0:
        return -grown(-mask, -by, taper=taper)
    if not taper:
        return F.max_pool2d(mask, 2 * by + 1, stride=1, padding=by)
    for _ in range(by):
        rows = F.max_pool2d(mask, (3, 1), stride=1, padding=(1, 0))
        mask = rows.maximum(F.max_pool2d(mask, (1, 3), stride=1, padding=(0, 1)))
    return mask
