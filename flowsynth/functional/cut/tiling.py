"""Apply a function to an image in tiles, exactly, by context."""

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

from torch import Tensor

__all__ = ["Tile", "context_tiles", "tile_by_context"]

Transform = Callable[[Tensor], Tensor]


class Tile(NamedTuple):
    """One axis of a tile, in input pixels: `start:stop` is read, `keep_start:keep_stop` of it is kept."""

    start: int
    stop: int
    keep_start: int
    keep_stop: int


def context_tiles(size: int, tile: int, halo: int, align: int = 1) -> list[Tile]:
    """Cut an axis into tiles of about equal length whose kept parts meet without gap or overlap.

    Args:
        size: length of the axis.
        tile: most pixels to read at once; `tile >= size` gives one tile.
        halo: pixels of context to read on either side, less at the image's border.
        align: every cut and every reading position is a multiple of it.

    Raises:
        ValueError: if the tile leaves nothing to keep between its halos.
    """
    if tile >= size:
        return [Tile(0, size, 0, size)]
    margin = -(-halo // align) * align
    most = (tile - 2 * margin) // align * align
    if most < 1:
        raise ValueError(
            f"tiling: a tile of {tile} px leaves nothing between two halos of {margin} px; "
            f"expected at least {2 * margin + align}"
        )
    count = -(-size // most)
    step = -(-size // (count * align)) * align
    cuts = [*range(0, size, step), size]
    return [Tile(max(0, a - margin), min(size, b + margin), a, b) for a, b in itertools.pairwise(cuts)]


def tile_by_context(
    fn: Transform, x: Tensor, *, tile: int, halo: int, scale: Fraction | int = 1, align: int = 1
) -> Tensor:
    """Apply a function of finite receptive field in tiles; equals `fn(x)` if the halo covers that field.

    Tiles are read with a halo and only the halo-free part of the result is kept. At the image's border
    there is no halo, so the function's own padding acts as it does on the whole image.

    Args:
        fn: maps `(..., H, W)` to `(..., H * scale, W * scale)`.
        x: `(..., H, W)`, any size whose product with `scale` is whole.
        tile: most input pixels along an axis to hand to `fn`; 0, or at least the image, gives the plain call.
        halo: receptive field of `fn` in input pixels, to one side.
        scale: output pixels per input pixel, 8 for a decoder, 1/8 for an encoder.
        align: stride of the coarsest grid inside `fn` in input pixels, where it is coarser than 1 / scale.

    Returns:
        `(..., H * scale, W * scale)`.

    Raises:
        ValueError: for a tile without room, a size that `scale` doesn't divide, or a result of another size.
    """
    ratio = Fraction(scale)
    height, width = x.shape[-2:]
    if tile == 0 or (tile >= height and tile >= width):
        return fn(x)
    grid = math.lcm(ratio.denominator, align)
    rows, columns = (context_tiles(side, tile, halo, grid) for side in (height, width))
    out: Tensor | None = None
    for row in rows:
        for column in columns:
            result = _apply(fn, x[..., row.start : row.stop, column.start : column.stop], ratio)
            if out is None:
                out = result.new_empty(*result.shape[:-2], _scaled(height, ratio), _scaled(width, ratio))
            out[..., _kept(row, ratio), _kept(column, ratio)] = result[
                ..., _inner(row, ratio), _inner(column, ratio)
            ]
    assert out is not None
    return out


def _apply(fn: Transform, part: Tensor, ratio: Fraction) -> Tensor:
    """Call `fn` and check the size of what it gives."""
    result = fn(part)
    expected = tuple(_scaled(side, ratio) for side in part.shape[-2:])
    if tuple(result.shape[-2:]) != expected:
        raise ValueError(
            f"tiling: expected {expected} from a tile of {tuple(part.shape[-2:])} at scale {ratio}, "
            f"got {tuple(result.shape[-2:])}"
        )
    return result


def _scaled(length: int, ratio: Fraction) -> int:
    """Scale a length, which must come out whole."""
    scaled = length * ratio
    if scaled.denominator != 1:
        raise ValueError(f"tiling: {length} px at scale {ratio} isn't a whole number of pixels")
    return int(scaled)


def _kept(tile: Tile, ratio: Fraction) -> slice:
    return slice(_scaled(tile.keep_start, ratio), _scaled(tile.keep_stop, ratio))


def _inner(tile: Tile, ratio: Fraction) -> slice:
    return slice(_scaled(tile.keep_start - tile.start, ratio), _scaled(tile.keep_stop - tile.start, ratio))
