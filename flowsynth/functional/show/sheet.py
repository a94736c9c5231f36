"""Contact sheets: frames laid out in a grid."""

import math
from collections.abc import Sequence

from torch import Tensor

__all__ = ["default_columns", "evenly_spaced", "sheet"]


def evenly_spaced(count: int, total: int) -> list[int]:
    """Pick `count` of `total` frames, the first and the last among them; fewer if there are fewer.

    One frame is the middle one.
    """
    count = min(count, total)
    if count <= 1:
        return [total // 2] * count
    return [(2 * k * (total - 1) + count - 1) // (2 * (count - 1)) for k in range(count)]


def default_columns(count: int, height: int, width: int) -> int:
    """Choose a number of columns that makes the sheet about 3 : 2."""
    best = math.sqrt(1.5 * count * height / width)
    return max(1, min(count, round(best)))


def sheet(frames: Sequence[Tensor], columns: int, *, margin: int = 4, background: float = 1.0) -> Tensor:
    """Lay frames out row by row, each centred in a cell as large as the largest.

    Args:
        frames: `(C, H, W)` tensors in [0, 1], C 1 or 3; sizes may differ. At least one.
        columns: of the grid, at least 1.
        margin: pixels between cells and around the sheet.
        background: grey value of margins and empty cells.

    Returns:
        `(3, H', W')` in the dtype of the first frame.

    Raises:
        ValueError: without frames or columns, or for frames of another layout.
    """
    if not frames or columns < 1:
        raise ValueError(
            f"sheet: expected at least one frame and one column, got {len(frames)} and {columns}"
        )
    for number, frame in enumerate(frames):
        if frame.ndim != 3 or frame.shape[0] not in (1, 3):
            raise ValueError(f"sheet: frame {number} must be (1 or 3, H, W), got {tuple(frame.shape)}")
    height, width = (max(frame.shape[axis] for frame in frames) for axis in (1, 2))
    rows = -(-len(frames) // columns)
    out = frames[0].new_full(
        (3, margin + rows * (height + margin), margin + columns * (width + margin)), background
    )
    for number, frame in enumerate(frames):
        row, column = divmod(number, columns)
        top = margin + row * (height + margin) + (height - frame.shape[1]) // 2
        left = margin + column * (width + margin) + (width - frame.shape[2]) // 2
        out[:, top : top + frame.shape[1], left : left + frame.shape[2]] = frame
    return out
