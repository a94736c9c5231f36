"""The tree of frame blocks that FastBlend's fast mode sums over. Needs no torch: plans use it.

Like Fenwick's tree it holds blocks of 2^k frames, and any run of frames is a union of few of them.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Block", "Mode", "block_sources", "cover", "phase_period", "smaller_blocks"]

Mode = Literal["fast", "balanced", "accurate"]


@dataclass(frozen=True, slots=True)
class Block:
    """The 2^level frames that end at frame `last`, as one node of the tree."""

    last: int
    level: int


def cover(first: int, last: int) -> list[Block]:
    """Return the fewest blocks that hold frames `first` to `last`, from the last to the first.

    A block of 2^k frames exists where it ends at a number whose lowest k bits are ones.
    """
    blocks = []
    while last >= first:
        level = 0
        while last >> level & 1 and last - (2 << level) + 1 >= first:
            level += 1
        blocks.append(Block(last, level))
        last -= 1 << level
    return blocks


def block_sources(block: Block) -> range:
    """Return the frames that must be remapped to `block.last` beyond those of the block half its size."""
    return range(block.last - (1 << block.level) + 1, block.last - (1 << block.level >> 1) + 1)


def phase_period(window: int) -> int:
    """Return the period, in frames, with which the shape of the tree repeats for a window."""
    return 1 << (window + 1).bit_length() - 1


def smaller_blocks(block: Block) -> list[Block]:
    """Return the blocks, smallest first, that a block is built of: all that end where it ends."""
    return [Block(block.last, level) for level in range(1, block.level + 1)]
