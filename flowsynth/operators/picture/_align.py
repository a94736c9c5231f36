"""Clips that run beside the main one: as long as it, or one picture that is held."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.core.streams import Reads, StreamInfo
from flowsynth.operators.shared.frames import map_frames
from flowsynth.values import Frames
from flowsynth.values.clip import Clip

if TYPE_CHECKING:
    from torch import Tensor


def aligned_info(op: str, inputs: Mapping[str, StreamInfo]) -> StreamInfo:
    """Length and rate of the port `frames`, which the others go along with.

    Raises:
        RequestError: another port has neither one frame nor as many.
    """
    total = inputs["frames"].length
    for port, info in inputs.items():
        if info.length not in (1, total):
            raise RequestError(
                f"{op}: {port}: expected 1 frame or as many as frames has, {total}; given {info.length}"
            )
    return inputs["frames"]


def aligned_reads(start: int, stop: int, inputs: Mapping[str, StreamInfo]) -> Reads:
    """The same frames of every port, and the one frame of a picture."""
    single = inputs["frames"].length != 1
    return Reads(
        {port: (0, 1) if single and info.length == 1 else (start, stop) for port, info in inputs.items()}
    )


def check_aligned(op: str, clips: Mapping[str, Clip | None]) -> None:
    """Refuse clips of other lengths, as `aligned_info` does, where an operator is called by hand."""
    given = {port: StreamInfo(clip.num_frames) for port, clip in clips.items() if clip is not None}
    aligned_info(op, given)


def frame_beside(clip: Clip, index: int, device: str) -> Tensor:
    """Frame `index`, `(1, C, H, W)` float32 in [0, 1], or the one that a picture has."""
    from flowsynth.values.frames import as_float

    return as_float(clip.frame(0 if clip.num_frames == 1 else index)[None].to(device))


def render_each(ctx: RunContext, frames: Frames, render: Callable[[Tensor, int], Tensor]) -> Frames:
    """Apply a function to each frame, `(1, C, H, W)` float32 in [0, 1], and its index among those given."""
    index = itertools.count()
    return map_frames(ctx, frames, lambda frame: render(frame, next(index)))
