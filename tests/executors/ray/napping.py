"""Operators that take their time, say where they are, and die on request."""

from __future__ import annotations

import os
import time
from pathlib import Path

import torch

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.streams import Map, Scan, StreamKind
from flowsynth.values import Frames


class Nap(fs.Operator):
    """A map that sleeps, and leaves a file that names its process."""

    op = "r_nap"
    version = 1
    seconds: float = 0.2
    folder: str = ""

    def stream(self) -> StreamKind:
        return Map()

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        start = ctx.span.start if ctx.span else 0
        if self.folder:
            Path(self.folder, f"{start}.{os.getpid()}").touch()
        begun = time.monotonic()
        while time.monotonic() - begun < self.seconds:
            ctx.progress(int(time.monotonic() - begun), int(self.seconds) + 1)
            time.sleep(0.02)
        return frames.with_data(255 - frames.tensor)


class Trail(fs.Operator):
    """A scan: each frame with what is left of those before."""

    op = "r_trail"
    version = 1

    def stream(self) -> StreamKind:
        return Scan()

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        last = ctx.state.tensor[-1] if ctx.state is not None else torch.zeros_like(frames.tensor[0])
        made = []
        for frame in frames.tensor:
            last = torch.maximum(frame, (last.to(torch.int32) * 3 // 4).to(torch.uint8))
            made.append(last)
        ctx.state = frames.with_data(last[None])
        return frames.with_data(torch.stack(made))


class Dies(fs.Operator):
    """Ends its process, the first times that it is run."""

    op = "r_dies"
    version = 1
    folder: str
    times: int = 1

    def run(self, ctx: RunContext, /, *, x: int = 0) -> int:
        done = len(list(Path(self.folder).iterdir()))
        if done < self.times:
            Path(self.folder, str(done)).touch()
            os._exit(9)
        return x + done
