"""What a task reads: references and pieces of what the tasks and hits above it gave."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from flowsynth.core.codec import temporal_hash
from flowsynth.core.refs import Ref, StreamRef, join_streams, objects_of
from flowsynth.core.streams import Resample, edge_name
from flowsynth.executors.order import Cut, Given, Part, Piece
from flowsynth.executors.tasks import SEGMENT, STATE, Role, StepRun, Task
from flowsynth.planning.step import Input, Step


def gather(task: Task) -> tuple[Given, ...]:
    """Everything that a task reads, in the order of its ports; hidden ports come last."""
    step = task.run.step
    if task.role is Role.WHOLE:
        return tuple([_whole(task.run, given) for given in step.inputs])
    found = [_given(task, given) for given in step.inputs if _reads(task.role, step, given.port)]
    for port, tasks in hidden(task):
        parts = tuple(_part(other.refs[port]) for other in tasks if other.refs is not None)
        found.append(Given(port, port == SEGMENT, parts))
    return tuple(found)


def _reads(role: Role, step: Step, port: str) -> bool:
    """Whether a task of some role reads a port: segments only streams, what combines them only the rest."""
    if role is Role.SEGMENT:
        return port in step.streamed
    return role is not Role.COMBINE or port not in step.streamed


def _given(task: Task, given: Input) -> Given:
    port, many, edges = given
    peers, span, step = task.run.peers, task.span, task.run.step
    if span is None or port not in step.streamed:
        return _whole(task.run, given)
    parts = []
    for i, edge in enumerate(edges):
        name = stream_name(step, port, many, i)
        if name == port or name in span.reads:  # a resampling operator may leave a clip out
            reads = span.reads.get(name, (span.start, span.stop))
            parts.append(_cut(peers[edge.node], edge.port, reads))
    return Given(port, many, tuple(parts))


def _whole(run: StepRun, given: Input) -> Given:
    parts = tuple([whole_part(run.peers[edge.node], edge.port) for edge in given.edges])
    return Given(given.port, given.many, parts)


def hidden(task: Task) -> list[tuple[str, list[Task]]]:
    """Hidden ports that a task reads: the state of the chunk before, or the segments of a fold."""
    if task.role is Role.COMBINE:
        return [(SEGMENT, [t for t in task.run.tasks if t.role is Role.SEGMENT])]
    if task.role is Role.CHUNK and task.index and task.run.tasks[task.index - 1] in task.deps:
        return [(STATE, [task.run.tasks[task.index - 1]])]
    return []


def stream_name(step: Step, port: str, many: bool, index: int) -> str:
    """What the spans of a step call one of its edges."""
    return edge_name(port, index) if many and isinstance(step.kind, Resample) else port


def whole_ref(run: StepRun, out: str) -> Ref:
    """The reference of all of an output."""
    if run.outputs is not None:
        return run.outputs[out]
    if len(run.tasks) == 1 and (only := run.tasks[0].refs) is not None:
        return only[out]
    refs = [task.refs[out] for task in run.tasks if task.refs is not None and out in task.refs]
    streams = [ref for ref in refs if isinstance(ref, StreamRef)]
    return join_streams(streams) if streams and len(streams) == len(refs) else refs[-1]


def whole_part(run: StepRun, out: str) -> Part:
    """All of an output."""
    return _part(whole_ref(run, out))


def _part(ref: Ref) -> Part:
    if not isinstance(ref, StreamRef):
        return ref
    return Cut(ref.type, ref.hash, tuple(Piece(c.object, 0, len(c.frames)) for c in ref.chunks))


def _cut(run: StepRun, out: str, reads: tuple[int, int]) -> Part:
    """Frames of a stream."""
    frames: list[str] = []
    pieces: list[Piece] = []
    first: StreamRef | None = None
    for ref, low, high in _streams(run, out, reads):
        first = first or ref
        for chunk, start, stop in _chunks(ref, low, high):
            frames += ref.chunks[chunk].frames[start:stop]
            pieces.append(Piece(ref.chunks[chunk].object, start, stop))
    if first is None:
        raise TypeError(f"{run.name}.{out} has no frames {reads[0]} to {reads[1]}")
    return Cut(first.type, temporal_hash(first.type, first.meta, first.layout, frames), tuple(pieces))


def _streams(run: StepRun, out: str, reads: tuple[int, int]) -> Iterator[tuple[StreamRef, int, int]]:
    """(stream, first, one past last) for every part of a stream that holds frames to read."""
    start, stop = reads
    if not run.tasks or not run.chunked:
        yield _stream(run, out, whole_ref(run, out)), start, stop
        return
    for task in run.overlapping(start, stop):
        part = _stream(run, out, task.refs[out] if task.refs is not None else None)
        offset = task.span.start if task.span is not None else 0
        low, high = max(start - offset, 0), min(stop - offset, part.length)
        if low < high or start == stop:
            yield part, low, high


def _stream(run: StepRun, out: str, ref: Ref | None) -> StreamRef:
    if not isinstance(ref, StreamRef):
        raise TypeError(f"{run.name}.{out} is no stream")
    return ref


def _chunks(ref: StreamRef, low: int, high: int) -> Iterator[tuple[int, int, int]]:
    """(index, first, one past last) of the chunks with frames to read: of an empty read, one without any."""
    if low >= high and ref.chunks:
        yield 0, 0, 0
    if len(ref.chunks) == 1 and low < high:
        yield 0, low, high
        return
    ends = list(accumulate(len(chunk.frames) for chunk in ref.chunks))
    index = bisect_right(ends, low)
    while index < len(ends) and low < high:
        begin = ends[index] - len(ref.chunks[index].frames)
        stop = min(high, ends[index])
        if low < stop:
            yield index, low - begin, stop - begin
        low, index = max(low, stop), index + 1


def makers(task: Task, missing: Iterable[str]) -> tuple[list[Task], bool]:
    """Who made values that a task reads and that are gone.

    Returns:
        The tasks of this run that did, and whether some were made before it, as the plan found them.
    """
    names = set(missing)
    sources = dict.fromkeys(task.run.sources())
    found = [other for run in sources for other in run.tasks if names.intersection(_objects(other))]
    for _, tasks in hidden(task):
        found += [other for other in tasks if names.intersection(_objects(other))]
    for other in found:
        names.difference_update(_objects(other))
    return found, bool(names)


def _objects(task: Task) -> Sequence[str]:
    return [name for ref in (task.refs or {}).values() for name in objects_of(ref)]
