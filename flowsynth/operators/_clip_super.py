"""Super-resolution of clips: blocks of frames enlarged together, each with context before and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from flowsynth.core.canonical import Json
from flowsynth.core.context import RunContext
from flowsynth.operators._frames import as_rgb, dtype_name
from flowsynth.operators._weights import load_network
from flowsynth.values import Frames

if TYPE_CHECKING:
    from torch import Tensor

    from flowsynth.nets.basicvsr import BasicVSR


class Block(NamedTuple):
    """Frames `start` to `stop` are seen, `keep_start` to `keep_stop` of them are given back."""

    start: int
    stop: int
    keep_start: int
    keep_stop: int


def blocks(start: int, stop: int, total: int, length: int, context: int) -> list[Block]:
    """Return what must be seen for frames `start` to `stop` of a clip.

    Blocks begin at multiples of their length from the clip's start, however the clip is asked for, so parts
    of a clip are the same as in the whole.
    """
    found = []
    for first in range(start // length * length, stop, length):
        last = min(first + length, total)
        seen = max(0, first - context), min(total, last + context)
        found.append(Block(*seen, max(first, start), min(last, stop)))
    return found


def relative(found: Sequence[Block]) -> tuple[tuple[int, int], list[Json]]:
    """Return the frames that blocks see together, and the blocks counted from there, as JSON."""
    if not found:
        return (0, 0), []
    first, last = found[0].start, max(block.stop for block in found)
    return (first, last), [[number - first for number in block] for block in found]


def enlarge_clip(
    ctx: RunContext,
    frames: Frames,
    weights: str,
    precision: str,
    found: Sequence[Block],
    size: tuple[int, int],
    fidelity: int = 0,
) -> Frames:
    """Enlarge the kept frames of all blocks and bring them to a size, `(height, width)`; see `enlarge`."""
    import torch

    from flowsynth.values.frames import as_dtype

    network = load_network(ctx, weights, precision, _build)
    made: list[Tensor] = []
    total = sum(block.keep_stop - block.keep_start for block in found)
    for block in found:
        for frame in _enlarged(ctx, frames, network, block, size, fidelity):
            ctx.progress(len(made), total)
            made.append(as_dtype(frame, dtype_name(frames)).to(frames.parts[0].device))
    empty = torch.empty(0, frames.frame_shape[0], *size, dtype=frames.parts[0].dtype)
    return frames.with_data(torch.cat(made) if made else empty)


def _enlarged(
    ctx: RunContext,
    frames: Frames,
    network: BasicVSR,
    block: Block,
    size: tuple[int, int],
    fidelity: int,
) -> Iterator[Tensor]:
    """Yield the kept frames of a block, `(1, C, *size)` float32."""
    import torch

    from flowsynth.operators._super import finished
    from flowsynth.values.frames import as_float

    given = as_float(frames.slice(block.start, block.stop).tensor.to(ctx.device))
    with torch.inference_mode():
        dtype = network.conv_last.weight.dtype
        for i, large in enumerate(network.frames(as_rgb(given).to(dtype)), start=block.start):
            if i >= block.keep_stop:
                return
            ctx.check_cancelled()
            if i < block.keep_start:
                continue
            own = given[i - block.start : i - block.start + 1]
            yield finished(large.float().clamp(0, 1), own, size, fidelity)


def _build(state: dict[str, Any]) -> BasicVSR:
    from flowsynth.nets.basicvsr import basicvsr_from_state

    return basicvsr_from_state(state)
