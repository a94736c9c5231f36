"""Run a stream operator chunk by chunk, as its declaration says, in the plainest way."""

from pathlib import Path
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


def run_by_chunks(
    operator: Operator, clip: Frames, chunk: int, *, cache: Path | None = None, **others: Frames
) -> Frames:
    """Give the output of `operator` on the port `frames` and others, `chunk` output frames at a time."""
    clips = {"frames": clip, **others}
    info = {port: StreamInfo(one.num_frames, one.fps) for port, one in clips.items()}
    total = operator.output_info(info).length
    parts: list[Frames] = []
    state: Any = None
    for start, stop in chunk_spans(total, chunk):
        span = make_span(operator, start, stop, total, info)
        ctx = RunContext(span=span, state=state, cache_dir=cache)
        given = {port: one.slice(*span.reads[port]) for port, one in clips.items()}
        run: Any = operator.run
        parts.append(run(ctx, **given))
        state = ctx.state
    return Frames.concat(parts)


def make_span(operator: Operator, start: int, stop: int, total: int, info: dict[str, StreamInfo]) -> Span:
    """Give the span of one task."""
    kind = operator.stream()
    if isinstance(kind, Window):
        return window_span(kind, start, stop, total, tuple(info))
    if isinstance(kind, Resample):
        reads = operator.reads(start, stop, info)
        return Span(start, stop, total, reads.ports, geometry=reads.geometry)
    assert isinstance(kind, (Map, Scan, Fold))
    return Span(start, stop, total, dict.fromkeys(info, (start, stop)))
