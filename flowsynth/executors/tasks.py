"""Tasks: one a chunk of a stream, one in all for a whole value; and what a step is while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from flowsynth.core.canonical import Json
from flowsynth.core.errors import FlowsynthError
from flowsynth.core.refs import Ref, StreamRef
from flowsynth.core.streams import Fold, Span, StreamInfo, Whole
from flowsynth.planning.plan import Step

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
    """What part of its node a task makes."""

    WHOLE = "whole"
    CHUNK = "chunk"
    SEGMENT = "segment"
    COMBINE = "combine"


@dataclass(slots=True, eq=False, repr=False)
class Task:
    """One unit of work.

    Attributes:
        run: the step that it is part of.
        index: which chunk or segment (0 for whole values).
        role: what part of the node it makes.
        span: which frames, for chunks and segments.
        waiting: upstream tasks that are not done.
        dependents: tasks that read its values.
        waiters: those of them that wait for it now.
        extra: tasks that were run again only for this one.
        users: dependents that have not finished: its values are dropped when none is left.
        position: place in the depth-first order; lower runs first.
        floating: it joined late, at the position of the task that needs it; others do not wait for its turn.
        counted: it was over once already (a forced task is over twice).
        parked_since: when it first found its key leased by another process.
        pinned: its values stay in memory, since the run must deliver them and no object holds them.
        forced: run it though its trace is known, because its object is gone and needed.
        refs: output port -> reference, once known.
        values: output port -> value, while it is held in memory.
    """

    run: StepRun
    index: int
    role: Role
    span: Span | None
    lane: str
    deps: list[Task] = field(default_factory=list)
    waiting: int = 0
    dependents: list[Task] = field(default_factory=list)
    waiters: list[Task] = field(default_factory=list)
    extra: list[Task] = field(default_factory=list)
    users: int = 0
    position: int = -1
    floating: bool = False
    counted: bool = False
    pinned: bool = False
    parked_since: float = 0.0
    state: State = State.WAITING
    forced: bool = False
    computed: bool = False
    refs: Mapping[str, Ref] | None = None
    values: dict[str, Any] | None = None

    def __repr__(self) -> str:
        """What and where only: tasks hold each other."""
        return f"Task({self.run.step.name!r}, {self.role.value} {self.index}, {self.state.name})"

    def peer(self, step: Step) -> StepRun:
        """The run of another step."""
        return self.run.peers[step.name]

    @property
    def broken(self) -> Task | None:
        """One of the tasks that it reads that failed, though it made something once that was lost."""
        return next((other for other in (*self.deps, *self.extra) if other.state is State.FAILED), None)

    def depend(self, other: Task) -> None:
        """Wait for another task, and keep its values until this one is over."""
        self.deps.append(other)
        other.dependents.append(self)
        other.users += 1
        self.wait_for(other)

    def wait_for(self, other: Task) -> None:
        """Not be ready before another task is over."""
        if other.state not in (State.DONE, State.FAILED):
            self.waiting += 1
            other.waiters.append(self)


@dataclass(slots=True, eq=False, repr=False)
class StepRun:
    """A step that takes part in a run.

    Attributes:
        step: the planned step.
        peers: all steps of the run, by name.
        info: length and rate of its output stream, once known.
        tasks: its tasks, in order; empty until it is expanded.
        open: tasks that are not over.
        blockers: edges that must be settled before it can be expanded.
        outputs: references of its outputs, once all tasks are done (or from the plan, for a hit).
        failed: why it failed.
        exit_code: 2 where it failed because of what it was asked to do (a file that is no video), else 1.
        skipped: it will not run: an input failed, or nobody needs it any more.
        cut: an input of it failed (directly or further up).
        waited: the user heard that it waits for another process.
        settled: its end has been dealt with.
    """

    step: Step
    peers: Mapping[str, StepRun]
    info: StreamInfo | None = None
    tasks: list[Task] = field(default_factory=list)
    expanded: bool = False
    open: int = 0
    blockers: int = 0
    outputs: Mapping[str, Ref] | None = None
    failed: str = ""
    exit_code: int = 1
    skipped: bool = False
    cut: bool = False
    settled: bool = False
    waited: bool = False
    started: bool = False
    seconds: float = 0.0
    hits: int = 0
    computed: int = 0
    notes: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        """Name and counts only: runs hold each other."""
        return f"StepRun({self.step.name!r}, {len(self.tasks)} tasks, {self.open} open)"

    @property
    def name(self) -> str:
        """The node's name."""
        return self.step.name

    @property
    def chunked(self) -> bool:
        """Whether its output comes in chunks."""
        return not isinstance(self.step.kind, (Whole, Fold))

    @property
    def over(self) -> bool:
        """Whether nothing of it is left to do."""
        return self.outputs is not None or bool(self.failed) or self.skipped

    @property
    def active(self) -> bool:
        """Whether tasks of it have to end yet: also those of a planned hit that has to run again."""
        return not (self.failed or self.skipped) and (self.outputs is None or self.open > 0)

    def overlapping(self, start: int, stop: int) -> Iterator[Task]:
        """Its chunk tasks that make some of frames ``start`` to ``stop``."""
        if not self.tasks or self.tasks[0].span is None:
            yield from self.tasks
            return
        size = max(1, self.tasks[0].span.count)
        yield from self.tasks[start // size : max(-(-stop // size), start // size + 1)]

    def stream_info(self, port: str) -> StreamInfo | None:
        """Length and rate of what a port gives, as far as is known."""
        if self.outputs is None and self.info is not None:
            return self.info
        known = self.outputs or self.step.outputs  # of a step that has to run again: what it gave before
        ref = known[port] if known is not None else None
        return ref.info if isinstance(ref, StreamRef) else None


def task_key(task: Task, pairs: Sequence[tuple[str, str]]) -> str:
    """The key of a task, given (port, hash) of everything that it reads."""
    static = task.run.step.static
    if static is None:
        raise FlowsynthError(f"{task.run.name} was not planned")
    span: Json = None
    if task.span is not None:
        span = [task.role.value, task.span.identity(static.positional)]
    elif task.role is Role.COMBINE:
        span = task.role.value
    return static.key(pairs, span)
