"""The two costly steps of patch match as Triton kernels, for a GPU.

`improve` takes four launches a pass (one more with hints), where `search_torch` takes thousands of
operations and waits for the device after most of them. One lane holds one pixel: it makes its guesses, adds
up their errors row by row until they can't win, and keeps what is better. Each launch reads one copy of the
field and writes another, so that no lane sees a neighbour's news of the same launch: what comes out does
not depend on the order in which the device runs them.

Errors are added up in one order, and products and sums are not contracted: every device gives the bits that
Triton's interpreter gives. torch adds up in orders of its own, so the two fields differ where two guesses
are equally good but for the rounding of float32, and nowhere else. `remap` has torch's order: its bits too.

Importing this module imports triton.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional as F

from flowsynth.functional.patchmatch import search_torch
from flowsynth.functional.patchmatch.field import Field

__all__ = ["improve", "prove", "remap"]

#: Rows and columns of the tile of pixels that one program holds: a warp reads 128 bytes in a row, and what
#: the patches of a tile cover fits into a first-level cache.
_TILE = (4, 32)

# Every level of the pyramid has a size of its own: one binary serves them all, and all patches.
_kernel: Callable[[Callable[..., None]], Any] = triton.jit(
    do_not_specialize=["height", "width", "patch", "down", "right", "count", "relative", "planes"]
)
_inlined: Callable[[Callable[..., Any]], Any] = triton.jit


@_inlined
def _pixels(height: tl.tensor, width: tl.tensor, TILE_Y: tl.constexpr, TILE_X: tl.constexpr) -> tl.tensor:
    """Return the pair of this program, rows and columns of its lanes' pixels, and which lie inside."""
    across = tl.cdiv(width, TILE_X)
    tiles = across * tl.cdiv(height, TILE_Y)
    program = tl.program_id(0)
    pair, tile = program // tiles, program % tiles
    lane = tl.arange(0, TILE_Y * TILE_X)
    y = tile // across * TILE_Y + lane // TILE_X
    x = tile % across * TILE_X + lane % TILE_X
    return pair.to(tl.int64), y, x, (y < height) & (x < width)


@_inlined
def _beat(
    source: tl.tensor, target: tl.tensor, order: tl.tensor, at: tl.tensor, own: tl.tensor, bound: tl.tensor,
    alive: tl.tensor, pitch: tl.tensor, plane: tl.tensor, patch: tl.tensor, CHANNELS: tl.constexpr,
) -> tl.tensor:  # fmt: skip
    """Return the squared difference of the patches with corners `at` and `own`, and where it beats `bound`.

    A lane whose sum has reached its bound reads no more; once all have, the loop ends.
    """
    total = tl.zeros_like(bound)
    step = 0
    while (step < patch) & (tl.max(alive.to(tl.int32), 0) > 0):
        shift = tl.load(order + step) * pitch
        here = source + (at + shift)
        there = target + (own + shift)
        for _ in range(patch):
            for channel in tl.static_range(CHANNELS):
                gap = tl.load(here + channel * plane, mask=alive, other=0.0)
                gap -= tl.load(there + channel * plane, mask=alive, other=0.0)
                total += gap * gap
            here += 1
            there += 1
        alive = alive & (total < bound)
        step += 1
    return total, alive


@_kernel
def _search(
    source: tl.tensor, target: tl.tensor, order: tl.tensor, rows: tl.tensor, columns: tl.tensor,
    errors: tl.tensor, new_rows: tl.tensor, new_columns: tl.tensor, new_errors: tl.tensor, guesses: tl.tensor,
    height: tl.tensor, width: tl.tensor, patch: tl.tensor, down: tl.tensor, right: tl.tensor,
    count: tl.tensor, relative: tl.tensor, planes: tl.tensor, FIRST: tl.constexpr, CHANNELS: tl.constexpr,
    TILE_Y: tl.constexpr, TILE_X: tl.constexpr,
) -> None:  # fmt: skip
    """Try for each pixel what its neighbour `down`, `right` implies, then `count` guesses of its own.

    `source`, `target`: `(B, C, H + patch - 1, W + patch - 1)` float32. Fields `(B, H, W)` int32 and their
    errors; with FIRST the errors are not known yet. `guesses`: `(count, 2, planes, H, W)` int32 with 1 plane
    or one a pair, off the current match if `relative` is 1, else rows and columns.
    """
    pair, y, x, inside = _pixels(height, width, TILE_Y, TILE_X)
    pitch = width + patch - 1
    plane = (height + patch - 1) * pitch
    source += pair * CHANNELS * plane
    target += pair * CHANNELS * plane
    size = height * width
    pixel = y * width + x
    own = y * pitch + x
    row = tl.load(rows + pair * size + pixel, mask=inside, other=0)
    column = tl.load(columns + pair * size + pixel, mask=inside, other=0)
    if FIRST:
        error = tl.full([TILE_Y * TILE_X], float("inf"), tl.float32)
        at = row * pitch + column
        total, won = _beat(source, target, order, at, own, error, inside, pitch, plane, patch, CHANNELS)
        error = tl.where(won, total, error)
    else:
        error = tl.load(errors + pair * size + pixel, mask=inside, other=0.0)

    # Round the edges, as torch.roll goes. Without a direction the guess is the match itself, and never tried.
    beside = (y + down + height) % height * width + (x + right + width) % width
    guessed_row = tl.load(rows + pair * size + beside, mask=inside, other=0) - down
    guessed_column = tl.load(columns + pair * size + beside, mask=inside, other=0) - right
    guesses += pair % planes * size
    for step in range(count + 1):
        guessed_row = tl.minimum(tl.maximum(guessed_row, 0), height - 1)
        guessed_column = tl.minimum(tl.maximum(guessed_column, 0), width - 1)
        changed = inside & ((guessed_row != row) | (guessed_column != column))
        at = guessed_row * pitch + guessed_column
        total, won = _beat(source, target, order, at, own, error, changed, pitch, plane, patch, CHANNELS)
        row = tl.where(won, guessed_row, row)
        column = tl.where(won, guessed_column, column)
        error = tl.where(won, total, error)
        more = inside & (step < count)
        guessed_row = tl.load(guesses + pixel, mask=more, other=0) + relative * row
        guessed_column = tl.load(guesses + planes * size + pixel, mask=more, other=0) + relative * column
        guesses += 2 * planes * size
    tl.store(new_rows + pair * size + pixel, row, mask=inside)
    tl.store(new_columns + pair * size + pixel, column, mask=inside)
    tl.store(new_errors + pair * size + pixel, error, mask=inside)


@_kernel
def _carry(
    picture: tl.tensor, rows: tl.tensor, columns: tl.tensor, carried: tl.tensor, height: tl.tensor,
    width: tl.tensor, patch: tl.tensor, CHANNELS: tl.constexpr, SLOTS: tl.constexpr, TILE_Y: tl.constexpr,
    TILE_X: tl.constexpr,
) -> None:  # fmt: skip
    """Give each pixel the mean of what the patches that cover it propose.

    `picture`, `carried`: `(B, C, H, W)` float32; `rows`, `columns`: `(B, H, W)` int32. SLOTS is CHANNELS
    rounded up to a power of 2.
    """
    pair, y, x, inside = _pixels(height, width, TILE_Y, TILE_X)
    size = height * width
    channel = tl.arange(0, SLOTS)
    picture += pair * CHANNELS * size
    carried += pair * CHANNELS * size
    total = tl.zeros([TILE_Y * TILE_X, SLOTS], tl.float32)
    number = tl.zeros([TILE_Y * TILE_X], tl.float32)
    radius = patch // 2
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            # The patch around (y - dy, x - dx) has this pixel at (dy, dx).
            centred = inside & (y >= dy) & (y - dy < height) & (x >= dx) & (x - dx < width)
            centre = pair * size + (y - dy) * width + x - dx
            row = tl.load(rows + centre, mask=centred, other=0) + dy
            column = tl.load(columns + centre, mask=centred, other=0) + dx
            counts = centred & (row >= 0) & (row < height) & (column >= 0) & (column < width)
            at = channel[None, :] * size + (row * width + column)[:, None]
            total += tl.load(picture + at, mask=counts[:, None] & (channel < CHANNELS)[None, :], other=0.0)
            number += counts.to(tl.float32)
    # Every pixel's own patch proposes; lanes outside have nothing to divide by.
    mean = tl.div_rn(total, tl.maximum(number, 1.0)[:, None])
    at = channel[None, :] * size + (y * width + x)[:, None]
    tl.store(carried + at, mean, mask=inside[:, None] & (channel < CHANNELS)[None, :])


class _State(NamedTuple):
    """A field and its errors, `(B, H, W)` each, int32 and float32."""

    rows: Tensor
    columns: Tensor
    errors: Tensor


def improve(
    source: Tensor, target: Tensor, field: Field, patch: int, hints: Sequence[Field], draws: Tensor
) -> Field:
    """Run one pass of the search, as `flowsynth.functional.patchmatch.search_torch.improve` does."""
    search = _Pass(source, target, patch)
    rows, columns = field.rows.int(), field.columns.int()
    now = _State(rows.contiguous(), columns.contiguous(), torch.empty_like(rows, dtype=torch.float32))
    none = draws.new_empty((0, 2, 1, 1, 1), dtype=torch.int32)
    if hints:
        asked = torch.stack([torch.stack((hint.rows, hint.columns)) for hint in hints]).int()
        now = search.launch(now, (0, 0), asked, first=True, relative=False)
    for turn, direction in enumerate(((0, -1), (0, 1), (-1, 0), (1, 0))):
        asked = draws[:, :, None].int() if turn == 3 else none
        now = search.launch(now, direction, asked, first=turn == 0 and not hints, relative=True)
    return Field(now.rows.long(), now.columns.long())


class _Pass:
    """What the launches of one pass share, and two states between which they alternate."""

    def __init__(self, source: Tensor, target: Tensor, patch: int) -> None:
        border = (patch // 2,) * 4
        self.pictures = [F.pad(x, border, mode="replicate").contiguous() for x in (source, target)]
        self.order = torch.tensor(search_torch.spread(patch), dtype=torch.int32).to(source.device)
        self.shape, self.patch = source.shape, patch

    def launch(
        self, now: _State, direction: tuple[int, int], guesses: Tensor, *, first: bool, relative: bool
    ) -> _State:
        """Try a neighbour's match and own guesses; returns the better state."""
        _, channels, height, width = self.shape
        after = _State(*(torch.empty_like(x) for x in now))
        with _on(now.rows.device):
            _search[_grid(self.shape)](
                *self.pictures, self.order, *now, *after, guesses.contiguous(),
                height, width, self.patch, *direction, len(guesses), int(relative), guesses.shape[2],
                FIRST=first, CHANNELS=channels, TILE_Y=_TILE[0], TILE_X=_TILE[1], enable_fp_fusion=False,
            )  # fmt: skip
        return after


def remap(picture: Tensor, field: Field, patch: int) -> Tensor:
    """Carry a picture `(B, D, H, W)` along a field, as `search.remap` says."""
    _, channels, height, width = picture.shape
    carried = torch.empty_like(picture, memory_format=torch.contiguous_format)
    with _on(picture.device):
        _carry[_grid(picture.shape)](
            picture.contiguous(), field.rows.int().contiguous(), field.columns.int().contiguous(), carried,
            height, width, patch, CHANNELS=channels, SLOTS=triton.next_power_of_2(channels),
            TILE_Y=_TILE[0], TILE_X=_TILE[1], enable_fp_fusion=False,
        )  # fmt: skip
    return carried


def prove(device: torch.device) -> None:
    """Run both kernels on a small example, of whole numbers that leave nothing to rounding.

    Raises:
        RuntimeError: they give another field or another picture than torch on that device. Whatever the
            compiler raises where it cannot work comes through.
    """
    draw = torch.Generator().manual_seed(0)
    source, target = (torch.randint(0, 4, (2, 6, 11, 13), generator=draw).float().to(device) for _ in "st")
    rows, columns = (torch.randint(0, side, (2, 11, 13), generator=draw).to(device) for side in (11, 13))
    draws = torch.randint(-2, 3, (2, 2, 11, 13), generator=draw).to(device)
    start = Field(rows, columns)
    ours, theirs = (step(source, target, start, 3, (), draws) for step in (improve, search_torch.improve))
    if not (torch.equal(ours.rows, theirs.rows) and torch.equal(ours.columns, theirs.columns)):
        raise RuntimeError("the kernel's field is not torch's")
    if not torch.equal(remap(source[:, :3], ours, 3), search_torch.remap(source[:, :3], ours, 3)):
        raise RuntimeError("the kernel's picture is not torch's")


def _grid(shape: torch.Size) -> tuple[int]:
    return (shape[0] * -(-shape[2] // _TILE[0]) * -(-shape[3] // _TILE[1]),)


def _on(device: torch.device) -> Any:
    """Triton launches on the current device: make it this one."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
