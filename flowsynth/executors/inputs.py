"""What a task reads: the hashes for its key, and the values from memory or from the cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowsynth.core.codec import temporal_hash, value_type
from flowsynth.core.keys import whole_hash
from flowsynth.core.refs import ChunkRef, JsonRef, ObjectRef, Ref, StreamRef, join_streams
from flowsynth.executors.expand import is_streamed, stream_name
from flowsynth.executors.placed import HOST, Placed, transfer
from flowsynth.executors.tasks import SEGMENT, STATE, Role, StepRun, Task
from flowsynth.planning.plan import Step
from flowsynth.values.tensors import as_loaded

if TYPE_CHECKING:
    from flowsynth.cache.store import Cache


class MissingError(Exception):
    """Values that are neither in memory nor on disk: tasks, or planned hits, have to run again."""

    def __init__(self, tasks: Sequence[Task], runs: Sequence[StepRun]) -> None:
        super().__init__("values are gone")
        self.tasks = tasks
        self.runs = runs


@dataclass(slots=True)
class Feed:
    """One input port of one task.

    Attributes:
        port: its name.
        many: a fan-in port.
        sources: (upstream step, output port) of every edge that is read.
        reads: the frames to read of each, or None for all there is.
    """

    port: str
    many: bool
    sources: list[tuple[StepRun, str]]
    reads: list[tuple[int, int]] | None

    @classmethod
    def of(cls, task: Task, port: str, many: bool, sources: Sequence[tuple[Step, str]]) -> Feed:
        """What a task reads on a port."""
        found = [(task.peer(step), out) for step, out in sources]
        span, here = task.span, task.run.step
        if span is None or not is_streamed(here, port):
            return cls(port, many, found, None)
        names = [stream_name(here, port, many, i) for i in range(len(found))]
        kept = [i for i, name in enumerate(names) if name == port or name in span.reads]
        reads = [span.reads.get(names[i], (span.start, span.stop)) for i in kept]
        return cls(port, many, [found[i] for i in kept], reads)


def _pieces(
    run: StepRun, out: str, reads: tuple[int, int]
) -> Iterator[tuple[Task | None, StreamRef, int, int]]:
    """(task, its stream, first, one past last) for every part of a stream that holds frames to read."""
    start, stop = reads
    tasks = list(run.overlapping(start, stop))
    # A planned hit that had to run again has chunks of its own: the plan's may be cut otherwise.
    if run.outputs is not None and not (tasks and all(task.refs is not None for task in tasks)):
        ref = run.outputs[out]
        if not isinstance(ref, StreamRef):
            raise TypeError(f"{run.name}.{out} is no stream")
        yield None, ref, start, stop
        return
    for task in tasks:
        part = task.refs[out] if task.refs is not None else None
        if not isinstance(part, StreamRef):
            raise TypeError(f"{run.name}.{out} is no stream")
        offset = task.span.start if task.span is not None else 0
        low, high = max(start - offset, 0), min(stop - offset, part.length)
        if low < high or reads[0] == reads[1]:
            yield task, part, low, high


def hashes(task: Task, feeds: Sequence[Feed]) -> list[tuple[str, str]]:
    """(port, hash) of everything a task reads, in the order of its ports; hidden ports come last."""
    pairs = []
    for feed in feeds:
        if feed.reads is None:
            pairs.append(
                (feed.port, whole_hash([whole_ref(run, out) for run, out in feed.sources], feed.many))
            )
        else:
            found = [
                _range_hash(run, out, reads)
                for (run, out), reads in zip(feed.sources, feed.reads, strict=True)
            ]
            pairs.append((feed.port, "[" + ",".join(found) + "]" if feed.many else found[0]))
    for port, tasks in hidden(task):
        refs: list[Ref] = [other.refs[port] for other in tasks if other.refs is not None]
        pairs.append((port, whole_hash(refs, many=True)))
    return pairs


def hidden(task: Task) -> list[tuple[str, list[Task]]]:
    """Hidden ports that a task reads: the state of the chunk before, or the segments of a fold."""
    if task.role is Role.COMBINE:
        return [(SEGMENT, [t for t in task.run.tasks if t.role is Role.SEGMENT])]
    if task.role is Role.CHUNK and task.index and task.run.tasks[task.index - 1] in task.deps:
        return [(STATE, [task.run.tasks[task.index - 1]])]
    return []


def whole_ref(run: StepRun, out: str) -> Ref:
    """The reference of all of an output."""
    if run.outputs is not None:
        return run.outputs[out]
    refs = [task.refs[out] for task in run.tasks if task.refs is not None and out in task.refs]
    streams = [ref for ref in refs if isinstance(ref, StreamRef)]
    return join_streams(streams) if streams and len(streams) == len(refs) else refs[-1]


def _range_hash(run: StepRun, out: str, reads: tuple[int, int]) -> str:
    frames: list[str] = []
    first: StreamRef | None = None
    for _, ref, low, high in _pieces(run, out, reads):
        first = first or ref
        frames += [f for chunk, a, b in ref.pieces(low, high) for f in chunk.frames[a:b]]
    return temporal_hash(first.type, first.meta, first.layout, frames) if first is not None else ""


class Gatherer:
    """Fetches the values that tasks read, and notes those that are gone.

    Args:
        cache: where they are if not in memory.
        device: the logical device to transfer them to; None leaves them where they are.
    """

    def __init__(self, cache: Cache, device: str | None) -> None:
        self.cache = cache
        self.device = device
        self.tasks: list[Task] = []
        self.runs: list[StepRun] = []

    def value(self, run: StepRun, out: str, reads: tuple[int, int] | None) -> Any:
        """The value of an upstream output, or of some of its frames; None where it is gone.

        What is not JSON comes with its device.
        """
        ref = whole_ref(run, out) if reads is None else None
        if isinstance(ref, JsonRef):
            return ref.value
        if isinstance(ref, ObjectRef):
            return self._object(run, out, ref)
        start, stop = reads or (0, ref.length if isinstance(ref, StreamRef) else 0)
        parts: list[Placed | None] = []
        for task, stream, low, high in _pieces(run, out, (start, stop)):
            parts += self._frames(run, task, out, stream, low, high)
        return _joined(parts)

    def hidden_value(self, task: Task, port: str) -> Any:
        """The value on a hidden port of a task."""
        ref = task.refs[port] if task.refs is not None else None
        if isinstance(ref, JsonRef):
            return ref.value
        if task.values is not None and port in task.values:
            return self._moved(task.values[port], task.run.step.device)
        if isinstance(ref, ObjectRef):
            value = self._load(ref.type, ref.hash)
        else:
            stream = ref if isinstance(ref, StreamRef) else None
            value = _joined([self._load(stream.type, c.object) for c in stream.chunks] if stream else [])
        if value is None:
            self.tasks.append(task)
        return value

    def _object(self, run: StepRun, out: str, ref: ObjectRef) -> Any:
        task = run.tasks[-1] if run.tasks else None
        if task is not None and task.values is not None and out in task.values:
            return self._moved(_own(task, task.values[out]), run.step.device)
        value = self._load(ref.type, ref.hash)
        if value is None:
            self._gone(run, task)
        return value

    def _frames(
        self, run: StepRun, task: Task | None, out: str, ref: StreamRef, low: int, high: int
    ) -> list[Placed | None]:
        held = task.values if task is not None else None
        if held is not None and out in held:
            assert task is not None
            return [self._moved(_own(task, held[out].slice(low, high)), run.step.device)]
        pieces: list[tuple[ChunkRef, int, int]] = ref.pieces(low, high)
        if not pieces and ref.chunks:
            pieces = [(ref.chunks[0], 0, 0)]
        parts: list[Placed | None] = []
        for chunk, first, last in pieces:
            value = self._mapped(ref.type, chunk.object)
            if value is None:
                self._gone(run, task)
            parts.append(self._moved(value.slice(first, last), HOST) if value is not None else None)
        return parts

    def _moved(self, value: Any, device: str) -> Placed:
        """A value, tagged with the device that it is on, transferred to where it is wanted."""
        placed = Placed(value, device)
        return placed if self.device is None else transfer(placed, self.device)

    def _load(self, codec_name: str, key: str) -> Placed | None:
        value = self._mapped(codec_name, key)
        return None if value is None else self._moved(value, HOST)

    def _mapped(self, codec_name: str, key: str) -> Any:
        stored = self.cache.get_object(key)
        cls = value_type(codec_name)
        if stored is None or (stored.codec_name, stored.codec_version) != (codec_name, cls.codec_version):
            return None
        try:
            return cls.decode(stored.encoded)
        except (ValueError, TypeError, KeyError, ArithmeticError) as error:
            self.cache.objects.set_aside(key, f"it is no {codec_name} ({error})")
            return None

    def _gone(self, run: StepRun, task: Task | None) -> None:
        """Note what has to be made again: the task that made it, or the step if the plan took it for a hit.

        Which of the two it is was seen when the value was looked up; another worker may have expanded the
        step since.
        """
        if task is not None:
            self.tasks += [task] if task not in self.tasks else []
        elif run not in self.runs:
            self.runs.append(run)


def _own(task: Task, value: Any) -> Any:
    """A value that is held in memory, or a part of it, for one of its readers: as from the cache."""
    return as_loaded(value, own=len(task.dependents) > 1 or bool(task.run.step.wanted))


def _joined(parts: Sequence[Placed | None]) -> Placed | None:
    """Parts of a stream as one; None if there are none or one is gone."""
    found = [part for part in parts if part is not None]
    if not found or len(found) < len(parts):
        return None
    if len(found) == 1:
        return found[0]
    device = " and ".join(sorted({part.device for part in found}))
    return Placed(type(found[0].value).concat([part.value for part in found]), device)


def gather(task: Task, feeds: Sequence[Feed], cache: Cache) -> dict[str, Any]:
    """Everything that a task reads, transferred to the device that it runs on and tagged with it.

    Raises:
        MissingError: values are gone; says which tasks have to run again.
    """
    gatherer = Gatherer(cache, task.run.step.device)
    inputs: dict[str, Any] = {}
    for feed in feeds:
        found = [
            gatherer.value(run, out, feed.reads[i] if feed.reads is not None else None)
            for i, (run, out) in enumerate(feed.sources)
        ]
        inputs[feed.port] = found if feed.many else found[0]
    for port, tasks in hidden(task):
        values = [gatherer.hidden_value(other, port) for other in tasks]
        inputs[port] = values if port == SEGMENT else values[0]
    if gatherer.tasks or gatherer.runs:
        raise MissingError(gatherer.tasks, gatherer.runs)
    return inputs


def load_output(run: StepRun, out: str, ref: Ref, cache: Cache) -> Any:
    """The value of a finished step's output, from memory or mapped from the cache; None where it is gone."""
    reads = (0, ref.length) if isinstance(ref, StreamRef) else None
    found = Gatherer(cache, None).value(run, out, reads)
    return found.value if isinstance(found, Placed) else found
