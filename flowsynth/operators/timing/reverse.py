"""Play a clip backwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from flowsynth.core.context import RunContext
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Reads, Resample, StreamInfo, StreamKind
from flowsynth.values import Frames


class Reverse(Operator):
    """Give the frames of a clip in the opposite order.

    The clip is read from its end in chunks, so that memory does not grow with it, unless something before
    it hands a state from frame to frame (``temporal_smooth`` with ``exponential``).

    Inputs:
        frames: T, C, H, W of any dtype.

    Output:
        The same frames, the last one first.
    """

    op: ClassVar[str] = "reverse"
    version: ClassVar[int] = 1
    same_size: ClassVar[str] = "frames"
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    def stream(self) -> StreamKind:
        """An index map of its own."""
        return Resample()

    def reads(self, start: int, stop: int, inputs: Mapping[str, StreamInfo]) -> Reads:
        """The frames as far from the end."""
        length = inputs["frames"].length
        return Reads({"frames": (length - stop, length - start)})

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        """Flip the frames asked for, part by part."""
        ctx.check_cancelled()
        return frames.with_data(tuple(part.flip(0) for part in reversed(frames.parts)))
