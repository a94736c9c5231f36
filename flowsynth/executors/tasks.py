"""Tasks: one a chunk of a stream, one in all for a whole value; and what a step is while it runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from flowsynth.core.canonical import Json
from flowsynth.core.refs import Ref, StreamRef
from flowsynth.core.status import TaskStatus
from flowsynth.core.streams import Fold, Span, StreamInfo, Whole
from flowsynth.executors.clock import Clock
from flowsynth.planning.step import Step

#: Hidden output ports: a scan's state, and the value of one segment of a fold.
STATE, SEGMENT = "$state", "$segment"


class State(Enum):
    """Where a task is in its life."""

    WAITING = 0
    READY = 1
    RUNNING = 2
    DONE = 3
    FAILED = 4


class Role(Enum):
    """What part of its node a task makes; an end makes nothing: it is over when all chunks are."""

    WHOLE = "whole"
    CHUNK = "chunk"
    SEGMENT = "segment"
    COMBINE = "combine"
    END = "end"


@dataclass(slots=True, eq=False, repr=False)
class Task:
    """One unit of work.

    Attributes:
        run: the step that it is part of.
        index: which chunk or segment (0 for whole values).
        role: what part of the node it makes.
        span: which frames, for chunks and segments.
        lane: which workers may take it.
        key: its key, once what it reads is known.
        deps: tasks whose values it reads.
        waiting: upstream tasks that are not done.
        dependents: tasks that read its values.
        waiters: those of them that wait for it now.
        extra: tasks that were run again only for this one.
        users: dependents that have not finished: its values are dropped when none is left.
        soon: those of them that come soon after it: values that are on disk wait in memory for no others.
        position: place in the depth-first order; lower runs first.
        counted: it was over once already (a forced task is over twice).
        pinned: its values stay in memory, since the run must deliver them and no object holds them.
        parked_since: when it first found its key leased by another process.
        ready_since: when it could first be begun; 0 before, and once it has been.
        forced: run it though its trace is known, because its object is gone and needed.
        status: whether it was a hit or was computed, once it is done.
        refs: output port -> reference, once known.
        held: names of its objects that are held on the shelf.
        stored: its objects are in the cache.
        spooled: what is held lies in files, not in memory.
        owed: seconds that it would cost to make its values again, with what they need; 0 where they are kept.
    """

    run: StepRun
    index: int
    role: Role
    span: Span | None
    lane: str
    key: str = ""
    deps: list[Task] = field(default_factory=list)
    waiting: int = 0
    dependents: list[Task] = field(default_factory=list)
    waiters: list[Task] = field(default_factory=list)
    extra: list[Task] = field(default_factory=list)
    users: int = 0
    soon: int = 0
    position: int = -1
    counted: bool = False
    pinned: bool = False
    parked_since: float = 0.0
    ready_since: float = 0.0
    state: State = State.WAITING
    forced: bool = False
    status: TaskStatus | None = None
    refs: Mapping[str, Ref] | None = None
    held: Sequence[str] = ()
    stored: bool = False
    spooled: bool = False
    owed: float = 0.0

    def __repr__(self) -> str:
        """What and where only: tasks hold each other."""
        return f"Task({self.run.step.name!r}, {self.role.value} {self.index}, {self.state.name})"

    @property
    def broken(self) -> Task | None:
        """One of the tasks that it reads that failed, though it made something once that was lost."""
        for other in self.deps:
            if other.state is State.FAILED:
                return other
        for other in self.extra:
            if other.state is State.FAILED:
                return other
        return None

    def tally(self, status: TaskStatus, seconds: float) -> None:
        """Count it among its step's; once, though it may have had to run again."""
        run = self.run
        run.seconds += seconds
        if status != self.status:
            run.hits += (status == "hit") - (self.status == "hit")
            run.computed += (status == "computed") - (self.status == "computed")
            self.status = status

    def depend(self, other: Task) -> None:
        """Wait for another task, and keep its values until this one is over."""
        self.deps.append(other)
        other.dependents.append(self)
        other.users += 1
        other.soon += self.follows(other)
        self.wait_for(other)

    def follows(self, other: Task) -> bool:
        """Whether it reads another's values soon after they are made: not what needs all of a stream."""
        if other.role is Role.SEGMENT:
            return False  # what combines the segments comes last
        if other.role is not Role.CHUNK:
            return True
        if self.role is not Role.CHUNK:
            return False
        return other.run is self.run or (
            other.run.name in self.run.step.streams and not self.run.comes_late_for(other.run)
        )

    @property
    def shared(self) -> bool:
        """Whether several read what it gives, so that each must get a value of its own."""
        readers = self.dependents
        several = len(readers) > 1 or any(reader.role is Role.END for reader in readers)
        return several or self.run.unread > 0 or bool(self.run.step.wanted)

    @property
    def idle(self) -> bool:
        """Whether its values need no longer be in memory."""
        if self.pinned:
            return False
        return self.soon <= 0 if self.stored else self.users <= 0 and self.run.unread <= 0

    def wait_for(self, other: Task) -> None:
        """Not be ready before another task is over."""
        if other.state not in (State.DONE, State.FAILED):
            self.waiting += 1
            other.waiters.append(self)


@dataclass(slots=True, eq=False, repr=False)
class StepRun:
    """A step that takes part in a run: everything of it that changes.

    Attributes:
        step: the planned step.
        peers: all steps of the run, by name.
        key: its key, once its inputs are known.
        info: length and rate of its output stream, once known.
        tasks: its tasks, in order; empty until it is expanded.
        end: what waits for all of its chunks, for the chunks of others that need them all.
        open: tasks that are not over.
        blockers: edges that must be settled before it can be expanded.
        unread: steps that read it and are not expanded yet: what it gives must not be dropped.
        outputs: references of its outputs, once all tasks are done (or from the plan, for a hit).
        failed: why it failed.
        exit_code: 2 where it failed because of what it was asked to do (a file that is no video), else 1.
        skipped: it will not run: an input failed, or nobody needs it any more.
        cut: an input of it failed (directly or further up).
        waited: the user heard that it waits for another process.
        settled: its end has been dealt with.
        ends_stream: it waits for the end of a stream, or is one: what needs all of it comes late.
        late: something that all of its chunks need comes late, so they come long after what else they read.
        made: keys of tasks that this run computed in an earlier pass.
        devices: where its tasks were carried out.
        rounded: a task of it was made in smaller portions, for want of memory: no later run may take it.
        clock: when its tasks were carried out, and more that is measured of them.
    """

    step: Step
    peers: Mapping[str, StepRun]
    key: str = ""
    info: StreamInfo | None = None
    tasks: list[Task] = field(default_factory=list)
    expanded: bool = False
    end: Task | None = None
    open: int = 0
    blockers: int = 0
    unread: int = 0
    outputs: Mapping[str, Ref] | None = None
    failed: str = ""
    exit_code: int = 1
    skipped: bool = False
    cut: bool = False
    settled: bool = False
    waited: bool = False
    seconds: float = 0.0
    hits: int = 0
    computed: int = 0
    notes: list[str] = field(default_factory=list)
    ends_stream: bool = False
    late: bool = False
    made: frozenset[str] = frozenset()
    devices: set[str] = field(default_factory=set)
    rounded: bool = False
    clock: Clock = field(default_factory=Clock)

    def __repr__(self) -> str:
        """Name and counts only: runs hold each other."""
        return f"StepRun({self.step.name!r}, {len(self.tasks)} tasks, {self.open} open)"

    @property
    def name(self) -> str:
        """The node's name."""
        return self.step.node.name

    @property
    def chunked(self) -> bool:
        """Whether its output comes in chunks."""
        return not isinstance(self.step.kind, (Whole, Fold))

    @property
    def over(self) -> bool:
        """Whether nothing of it is left to do."""
        return self.outputs is not None or bool(self.failed) or self.skipped

    def note(self, notes: Iterable[str]) -> None:
        """Keep what the user should hear of it, once each."""
        for note in notes:
            if note not in self.notes:
                self.notes.append(note)

    def readers(self) -> list[StepRun]:
        """The steps that read it."""
        return [self.peers[name] for name in self.step.readers]

    def sources(self) -> list[StepRun]:
        """The steps that it reads, one for every edge."""
        return [self.peers[edge.node] for given in self.step.inputs for edge in given.edges]

    def comes_late_for(self, run: StepRun) -> bool:
        """Whether another step's frames, made early for the sake of others, wait long for this one."""
        return self.late and (len(run.step.readers) > 1 or self.reads_whole(run))

    def reads_whole(self, run: StepRun) -> bool:
        """Whether every part of it needs all of another step's stream."""
        step = self.step
        return any(
            edge.node == run.name
            for given in step.inputs
            if given.port not in step.streamed
            for edge in given.edges
        )

    def overlapping(self, start: int, stop: int) -> Sequence[Task]:
        """Its tasks that make some of frames ``start`` to ``stop``."""
        if not self.tasks or self.tasks[0].span is None:
            return self.tasks
        size = max(1, self.tasks[0].span.count)
        found = self.tasks[start // size : max(-(-stop // size), start // size + 1)]
        return found or self.tasks[-1:]  # of no frames at the very end

    def stream_info(self, port: str) -> StreamInfo | None:
        """Length and rate of what a port gives, as far as is known."""
        ref = self.outputs[port] if self.outputs is not None else None
        return ref.info if isinstance(ref, StreamRef) else self.info


def task_key(task: Task, pairs: Sequence[tuple[str, str]]) -> str:
    """The key of a task, given (port, hash) of everything that it reads."""
    static = task.run.step.static
    span: Json = None
    if task.span is not None:
        span = [task.role.value, task.span.identity(static.shared.positional)]
    elif task.role is Role.COMBINE:
        span = task.role.value
    return static.key(pairs, span)
