"""Super-resolution of clips: blocks of frames enlarged together, each with context before and after."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from flowsynth.core.canonical import Json
from flowsynth.core.context import RunContext
from flowsynth.operators.shared.frames import dtype_name
from flowsynth.values import Frames
from flowsynth.values.frames import NanCheck, as_float, as_rgb

if TYPE_CHECKING:
    from torch import Tensor

    from flowsynth.nets.clip_upscaling.basicvsr import BasicVSR


#: Bytes of features that wait for their frame's turn in memory; more lie in files.
_KEPT_BYTES = 1 << 30


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
    tile: int | None,
    fidelity: int = 0,
) -> Frames:
    """Enlarge the kept frames of all blocks and bring them to a size, `(height, width)`; see `enlarge`."""
    import torch

    from flowsynth.models.networks import load_network
    from flowsynth.nets.roles import CLIP_UPSCALING
    from flowsynth.operators.size._super import finished

    network = load_network(ctx, CLIP_UPSCALING, weights, precision)
    made: list[Tensor] = []
    looked = NanCheck()
    rests = ctx.portions.resting(frames.parts[0].device)
    total = sum(block.keep_stop - block.keep_start for block in found)
    for block in found:
        for large, own in _enlarged(ctx, frames, network, block, tile):
            ctx.progress(len(made), total)
            frame = finished(large, own, size, fidelity)
            made.append(looked.as_dtype(frame, dtype_name(frames)).to(rests))
    looked.end()
    empty = torch.empty(0, frames.frame_shape[0], *size, dtype=frames.parts[0].dtype)
    return frames.with_data(torch.cat(made) if made else empty)


def _enlarged(
    ctx: RunContext, frames: Frames, network: BasicVSR, block: Block, tile: int | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the kept frames of a block, `(1, 3, 4 H, 4 W)` float32 in [0, 1], and those they come from."""
    import torch

    from flowsynth.operators.size._super import in_tiles

    given = as_float(frames.slice(block.start, block.stop).tensor.to(ctx.device))
    keep = range(block.keep_start - block.start, block.keep_stop - block.start)
    with (
        torch.inference_mode(),
        tempfile.TemporaryDirectory(
            dir=ctx.work_dir, prefix="features-", ignore_cleanup_errors=True
        ) as folder,
    ):
        seen = as_rgb(given).to(network.conv_last.weight.dtype)
        tiles = in_tiles(tile, ctx.portions)
        put_by = _shelf(Path(folder), len(keep))
        for i, large in zip(keep, network.frames(seen, keep, tiles, put_by), strict=True):
            ctx.check_cancelled()
            yield large.float().clamp_(0, 1), given[i : i + 1]


def _shelf(folder: Path, count: int) -> Callable[[Tensor], Tensor]:
    """Return what keeps `count` tensors of one size: in memory, or beyond `_KEPT_BYTES` in mapped files."""
    import torch

    number = itertools.count()

    def put_by(features: Tensor) -> Tensor:
        if count * features.numel() * features.element_size() <= _KEPT_BYTES:
            return features
        path = str(folder / f"{next(number)}.raw")
        mapped = torch.from_file(path, shared=True, size=features.numel(), dtype=features.dtype)
        return mapped.view(features.shape).copy_(features)

    return put_by
