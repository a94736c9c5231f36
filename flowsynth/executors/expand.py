"""From steps to tasks, as soon as the lengths of the streams that a step reads are known."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

from flowsynth.core.errors import RunError, did_you_mean, listing
from flowsynth.core.streams import (
    Fold,
    Map,
    Reads,
    Resample,
    Scan,
    Source,
    Span,
    StreamInfo,
    Whole,
    Window,
    chunk_spans,
    window_span,
)
from flowsynth.executors.inputs import stream_name
from flowsynth.executors.tasks import Role, StepRun, Task

#: The lane of operators that read files through a cursor.
IO_LANE = "io"


class StreamEdge(NamedTuple):
    """An edge that is read chunk by chunk.

    Attributes:
        port: the input port.
        name: what spans and operators call it: the port, or the edge where a fan-in port's clips may differ.
        upstream: the step at its other end.
        out: that step's output.
    """

    port: str
    name: str
    upstream: StepRun
    out: str


class Expander:
    """Makes the tasks of steps and joins them to the tasks they read.

    Args:
        runs: the steps of the run, by name.
        chunk: frames in a chunk.
        probe: length and rate of a source's stream.
    """

    def __init__(self, runs: dict[str, StepRun], chunk: int, probe: Callable[[StepRun], StreamInfo]) -> None:
        self.runs = runs
        self.chunk = chunk
        self.probe = probe
        self._ends: list[Task] = []

    def expand(self, run: StepRun) -> list[Task]:
        """The tasks of a step, joined to their upstream, and new ends of streams that they wait for.

        Raises:
            RunError: streams that should run in step differ in length, or a source cannot be probed.
        """
        kind = run.step.kind
        run.expanded = True
        self._place_in_time(run)
        if isinstance(kind, Whole):
            run.tasks = [self._task(run, 0, Role.WHOLE, None)]
            self._read_all(run.tasks[0])
        elif isinstance(kind, Fold):
            self._fold(run, kind)
        else:
            run.info = self._output_info(run)
            spans = list(self._spans(run, run.info)) or [self._empty(run)]
            run.tasks = [self._task(run, i, Role.CHUNK, span) for i, span in enumerate(spans)]
            for task in run.tasks:
                self._read_span(task)
                if isinstance(kind, Scan) and task.index:
                    task.depend(run.tasks[task.index - 1])
        run.open = len(run.tasks)
        ends, self._ends = self._ends, []
        return [*ends, *run.tasks]

    def _place_in_time(self, run: StepRun) -> None:
        step = run.step
        waits = {
            given.port
            for given in step.inputs
            for edge in given.edges
            if self.runs[edge.node].ends_stream and not self.runs[edge.node].over
        }
        run.ends_stream = bool(waits) or run.chunked or isinstance(step.kind, Fold)
        run.late = run.chunked and not waits <= step.streamed

    def _task(self, run: StepRun, index: int, role: Role, span: Span | None) -> Task:
        lane = IO_LANE if run.step.operator.io else run.step.device
        return Task(run, index, role, span, lane)

    def stream_edges(self, run: StepRun) -> list[StreamEdge]:
        """Every edge that is read chunk by chunk, in the order of the ports."""
        step = run.step
        return [
            StreamEdge(port, stream_name(step, port, many, i), self.runs[edge.node], edge.port)
            for port, many, edges in step.inputs
            if port in step.streamed
            for i, edge in enumerate(edges)
        ]

    def _infos(self, run: StepRun) -> dict[str, StreamInfo]:
        infos: dict[str, StreamInfo] = {}
        for port, name, upstream, out in self.stream_edges(run):
            info = upstream.stream_info(out)
            if info is None:
                raise RunError(f"nodes.{run.name}.inputs.{port}: {upstream.name} gives no stream")
            same = infos.setdefault(name, info)
            if same.length != info.length:
                raise RunError(f"nodes.{run.name}.inputs.{port}: {same.length} and {info.length} frames")
        return infos

    def _output_info(self, run: StepRun) -> StreamInfo:
        kind, operator = run.step.kind, run.step.operator
        if isinstance(kind, Source):
            return _info(run, "probe", self.probe(run))
        infos = self._infos(run)
        lengths = {port: info.length for port, info in infos.items()}
        if isinstance(kind, (Map, Window, Scan)) and len(set(lengths.values())) > 1:
            text = ", ".join(f"{port} has {length}" for port, length in lengths.items())
            raise RunError(f"nodes.{run.name}: inputs must have the same number of frames; {text}")
        return _info(run, "output_info", operator.output_info(infos))

    def _empty(self, run: StepRun) -> Span:
        return Span(0, 0, 0, {edge.name: (0, 0) for edge in self.stream_edges(run)})

    def _spans(self, run: StepRun, info: StreamInfo) -> Iterator[Span]:
        kind = run.step.kind
        ports = tuple(dict.fromkeys(edge.port for edge in self.stream_edges(run)))
        infos = self._infos(run) if isinstance(kind, Resample) else {}
        for start, stop in chunk_spans(info.length, self.chunk):
            if isinstance(kind, Window):
                yield window_span(kind, start, stop, info.length, ports)
            elif isinstance(kind, Resample):
                reads = run.step.operator.reads(start, stop, infos)
                _check_reads(run, reads, infos)
                yield Span(start, stop, info.length, reads.ports, geometry=reads.geometry)
            else:
                yield Span(start, stop, info.length, dict.fromkeys(ports, (start, stop)))

    def _fold(self, run: StepRun, kind: Fold) -> None:
        infos = self._infos(run)
        length = max((info.length for info in infos.values()), default=0)
        bounds = chunk_spans(length, kind.segment) or [(0, 0)]
        segments = []
        for i, (start, stop) in enumerate(bounds):
            span = Span(start, stop, length, dict.fromkeys(infos, (start, stop)))
            segments.append(self._task(run, i, Role.SEGMENT, span))
            self._read_span(segments[-1])
        combine = self._task(run, 0, Role.COMBINE, None)
        for segment in segments:
            combine.depend(segment)
        self._read_all(combine, skip=run.step.streamed)
        run.tasks = [*segments, combine]

    def _read_all(self, task: Task, skip: Collection[str] = ()) -> None:
        for given in task.run.step.inputs:
            if given.port in skip:
                continue
            for edge in given.edges:
                upstream = self.runs[edge.node]
                if upstream.chunked and upstream.tasks and task.role is Role.CHUNK:
                    task.depend(self._end(upstream))
                    continue
                for other in upstream.tasks if upstream.chunked else upstream.tasks[-1:]:
                    task.depend(other)

    def _end(self, run: StepRun) -> Task:
        """What all chunks wait for that need all of a stream: 2 n edges, not n * n."""
        if run.end is None or run.end.counted:
            run.end = self._task(run, len(run.tasks), Role.END, None)
            for task in run.tasks:
                run.end.depend(task)
            self._ends.append(run.end)
        return run.end

    def _read_span(self, task: Task) -> None:
        span = task.span
        for _, name, upstream, _ in self.stream_edges(task.run):
            if span is not None and name in span.reads:
                for other in (
                    upstream.overlapping(*span.reads[name]) if upstream.chunked else upstream.tasks[-1:]
                ):
                    task.depend(other)
        if task.role is Role.CHUNK:
            self._read_all(task, skip=task.run.step.streamed)


def _info(run: StepRun, where: str, info: object) -> StreamInfo:
    if not isinstance(info, StreamInfo) or type(info.length) is not int or info.length < 0:
        raise RunError(f"{run.name}: {where}() gave {info!r:.80}; expected a StreamInfo of 0 frames or more")
    return info


def _check_reads(run: StepRun, reads: object, infos: Mapping[str, StreamInfo]) -> None:
    """What an index map says that it reads must be there: else a task would wait for it in vain."""
    if not isinstance(reads, Reads):
        raise RunError(f"{run.name}: reads() gave {reads!r:.80}; expected a Reads")
    for name, (first, last) in reads.ports.items():
        if name not in infos:
            known = listing(infos)
            raise RunError(f"{run.name}: reads() names {name!r}; expected {known}{did_you_mean(name, infos)}")
        if not 0 <= first <= last <= infos[name].length:
            text = f"frames {first} to {last} of {name}; it has {infos[name].length}"
            raise RunError(f"{run.name}: reads() asks for {text}")
