"""Smoothing by remapping neighbours onto each frame: FastBlend (arXiv 2311.09265).

Every frame becomes a mean of its neighbours within a window, each first carried over along the field that
matches the two frames of a guide video. `accurate` and `balanced` compute a field for every pair of
frames; `fast` keeps means of blocks of frames, remapped to the block's last frame, in a tree like
Fenwick's, and remaps whole blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from flowsynth.functional.patchmatch.block_tree import Block, Mode, block_sources, cover, smaller_blocks
from flowsynth.functional.patchmatch.search import Field, MatchSettings, match
from flowsynth.values.frames import as_float

__all__ = ["Job", "Remapper", "fastblend"]

#: A picture `(C, H, W)`, the frame it belongs to, and the frame it is carried to.
Job: TypeAlias = tuple[Tensor, int, int]

#: Pixels of all pairs that are matched at once; bounds memory, does not change results.
_BATCH_PIXELS = 1 << 18


class Remapper:
    """Carries pictures from frame to frame along the fields between the guide's frames.

    With `tracking` a pair's search also tries the field of the pair before it, where the two share one frame
    and their other frames are neighbours, as it is and stretched by the steady motion it implies. So motion
    beyond the reach of the random guesses is followed from frame to frame. Pairs are then matched one by one.

    Args:
        guide: `(L, C, H, W)`, uint8 or floating point in [0, 1].
        settings: of the patch match.
        on_field: called with the number of fields computed so far.
        tracking: try the field of the pair before.

    Attributes:
        fields: how many fields were computed.
    """

    def __init__(
        self,
        guide: Tensor,
        settings: MatchSettings,
        on_field: Callable[[int], None] | None = None,
        *,
        tracking: bool = False,
    ) -> None:
        self.guide = guide
        self.settings = settings
        self.on_field = on_field
        self.tracking = tracking
        self.fields = 0

    def __call__(self, jobs: Sequence[Job]) -> Iterator[Tensor]:
        """Yield, for each job, the picture carried over."""
        size = max(1, _BATCH_PIXELS // (self.guide.shape[-1] * self.guide.shape[-2]))
        size = 1 if self.tracking else size
        before: tuple[Job, Field] | None = None
        for start in range(0, len(jobs), size):
            batch = jobs[start : start + size]
            hints = _hints(before, batch[0]) if self.tracking else []
            field, carried = self._match(batch, hints)
            before = batch[0], field
            yield from carried

    def _match(self, batch: Sequence[Job], hints: list[Field]) -> tuple[Field, Tensor]:
        """Match some pairs at once."""
        sources = as_float(self.guide[[source for _, source, _ in batch]])
        targets = as_float(self.guide[[target for _, _, target in batch]])
        pictures = as_float(torch.stack([picture for picture, _, _ in batch]))
        found = match(sources, targets, pictures, self.settings, hints)
        self.fields += len(batch)
        if self.on_field is not None:
            self.on_field(self.fields)
        return found


def _hints(before: tuple[Job, Field] | None, job: Job) -> list[Field]:
    """Return what the field of the job before says of this one's: itself, and itself gone on with."""
    if before is None:
        return []
    (_, source, target), field = before
    gap, known = job[1] - job[2], source - target
    shared = source == job[1] or target == job[2]
    if not shared or abs(gap - known) != 1 or not known:
        return []
    return [field, field.stretched(gap / known)]


def fastblend(
    frames: Tensor,
    start: int,
    stop: int,
    *,
    window: int,
    mode: Mode,
    remap: Remapper,
    phases: tuple[int, int] | None = None,
) -> Tensor:
    """Blend each frame with its neighbours, remapped to it.

    Args:
        frames: `(L, C, H, W)`, uint8 or floating point in [0, 1], the halo of `window` frames included.
        start: first frame to give back, an index into `frames`.
        stop: end of the frames to give back.
        window: neighbours on either side.
        mode: `accurate` means over 2 window + 1 remapped frames; `balanced` takes the frame itself as it
            is; `fast` remaps blocks of frames: O(log window) fields a frame.
        remap: over the guide of the same frames.
        phases: of `fast`, where `frames` lies in its clip: how many frames of the clip come before, and
            after, both modulo `phase_period(window)`; 0, 0 for a whole clip. With them a clip cut into
            parts gives the bits of the whole.

    Returns:
        `(stop - start, C, H, W)` float32.
    """
    out = torch.empty((stop - start, *frames.shape[1:]), dtype=torch.float32, device=frames.device)
    if mode != "fast":
        for row, target in enumerate(range(start, stop)):
            out[row] = _mean_of_pairs(frames, target, window, remap, with_self=mode == "accurate")
        return out
    length, (before, after) = len(frames), phases or (0, 0)
    weights = [0] * (stop - start)
    for target, mean, weight in _one_side(frames, range(length), remap, window, before, start, stop):
        out[target - start], weights[target - start] = mean, weight
    mirrored = range(length - 1, -1, -1)
    for place, mean, weight in _one_side(
        frames, mirrored, remap, window, after, length - stop, length - start
    ):
        row = mirrored[place] - start
        # Both sides hold the frame itself: once too often.
        own = as_float(frames[mirrored[place]])
        total = weights[row] + weight - 1
        out[row] = (out[row] * weights[row] + mean * weight - own) / total
    return out


def _mean_of_pairs(frames: Tensor, target: int, window: int, remap: Remapper, *, with_self: bool) -> Tensor:
    near = range(max(target - window, 0), min(target + window + 1, len(frames)))
    outwards = [
        *range(target if with_self else target - 1, near.start - 1, -1),
        *range(target + 1, near.stop),
    ]
    jobs = [(frames[i], i, target) for i in outwards]
    total = torch.zeros_like(frames[target], dtype=torch.float32)
    for carried in remap(jobs):
        total += carried
    return total / len(near) if with_self else (total + as_float(frames[target])) / len(near)


def _one_side(
    frames: Tensor, order: range, remap: Remapper, window: int, phase: int, start: int, stop: int
) -> Iterator[tuple[int, Tensor, int]]:
    """Blend each frame with those up to `window` before it in `order`.

    Places are positions in `order`; blocks are aligned to places counted from `phase` on. Only blocks that
    later frames may still ask for are kept.

    Yields:
        Place, mean, and how many frames the mean holds.
    """
    table: dict[Block, Tensor] = {}
    for place in range(start, stop):
        first = max(place - window, 0)
        blocks = [Block(b.last - phase, b.level) for b in cover(first + phase, place + phase)]
        for gone in [b for b in table if b.last - (1 << b.level) + 1 < first]:
            del table[gone]
        _build(table, blocks, frames, order, remap)
        yield place, *_blend(table, blocks, place, frames, order, remap)


def _build(
    table: dict[Block, Tensor], blocks: Iterable[Block], frames: Tensor, order: range, remap: Remapper
) -> None:
    """Add the blocks that the table lacks: means of their frames, remapped to their last."""
    lacking = sorted(
        {part for block in blocks for part in smaller_blocks(block)} - table.keys(), key=_by_level
    )
    # From a block's last frame outwards, so that each field can follow the one before.
    jobs = [
        (frames[order[i]], order[i], order[part.last])
        for part in lacking
        for i in reversed(block_sources(part))
    ]
    carried = remap(jobs)
    for part in lacking:
        half = _mean(table, Block(part.last, part.level - 1), frames, order)
        total = torch.zeros_like(half)
        for _ in block_sources(part):
            total += next(carried)
        table[part] = (half + total / len(block_sources(part))) / 2


def _blend(
    table: dict[Block, Tensor],
    blocks: Sequence[Block],
    place: int,
    frames: Tensor,
    order: range,
    remap: Remapper,
) -> tuple[Tensor, int]:
    """Return the mean of all blocks at one frame, and how many frames it holds."""
    total = torch.zeros_like(frames[0], dtype=torch.float32)
    others = [block for block in blocks if block.last != place]
    carried = remap([(_mean(table, b, frames, order), order[b.last], order[place]) for b in others])
    for block in blocks:
        mean = _mean(table, block, frames, order) if block.last == place else next(carried)
        total += mean * (1 << block.level)
    count = sum(1 << block.level for block in blocks)
    return total / count, count


def _mean(table: dict[Block, Tensor], block: Block, frames: Tensor, order: range) -> Tensor:
    return table[block] if block.level else as_float(frames[order[block.last]])


def _by_level(block: Block) -> tuple[int, int]:
    return block.level, block.last
