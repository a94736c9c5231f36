"""Run a stream operator chunk by chunk, as its declaration says, in the plainest way."""

from typing import Any

from flowsynth.core.context import RunContext
from flowsynth.core.operator import Operator
from flowsynth.core.streams import (
    Fold,
    Map,
    Resample,
    Scan,
    Span,
    StreamInfo,
    Window,
    chunk_spans,
    window_span,
)
from flowsynth.values import Frames


def run_by_chunks(operator: Operator, clip: Frames, chunk: int) -> Frames:
    """Give the output of `operator` on the port `frames`, made `chunk` output frames at a time."""
    info = {"frames": StreamInfo(clip.num_frames, clip.fps)}
    total = operator.output_info(info).length
    parts: list[Frames] = []
    state: Any = None
    for start, stop in chunk_spans(total, chunk):
        span = make_span(operator, start, stop, total, info)
        first, last = span.reads["frames"]
        ctx = RunContext(span=span, state=state)
        parts.append(operator.run(ctx, frames=clip.slice(first, last)))
        state = ctx.state
    return Frames.concat(parts)


def make_span(operator: Operator, start: int, stop: int, total: int, info: dict[str, StreamInfo]) -> Span:
    """Give the span of one task."""
    kind = operator.stream()
    if isinstance(kind, Window):
        return window_span(kind, start, stop, total, ("frames",))
    if isinstance(kind, Resample):
        reads = operator.reads(start, stop, info)
        return Span(start, stop, total, reads.ports, geometry=reads.geometry)
    assert isinstance(kind, (Map, Scan, Fold))
    return Span(start, stop, total, {"frames": (start, stop)})
