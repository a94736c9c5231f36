"""One scheduler for whole values and for chunks: a lock, ready tasks, and workers that pull."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence

from flowsynth.core.errors import FlowsynthError
from flowsynth.executors.expand import Expander, is_streamed
from flowsynth.executors.order import assign_positions
from flowsynth.executors.ready import ReadyTasks
from flowsynth.executors.tasks import Role, State, StepRun, Task

#: How long a task whose lease another process holds is left alone before it is looked up again, in seconds.
PARK_SECONDS = 0.02
#: Chunks of each stream that may be ahead of the slowest one.
AHEAD = 2


class Scheduler:
    """Hands out tasks in depth-first order and learns what became of them.

    No task starts more than a window of positions ahead of the lowest unfinished one, so the number of chunks
    alive does not grow with the video.

    Args:
        runs: all steps of the run in topological order, hits included.
        expander: makes tasks out of steps.
        on_over: called (outside the lock) with each step when all its tasks are over.
        resident: device, names of models -> whether they are loaded there, so that a task finds them warm.
    """

    def __init__(
        self,
        runs: Sequence[StepRun],
        expander: Expander,
        on_over: Callable[[StepRun], None],
        resident: Callable[[str, Sequence[str]], bool],
    ) -> None:
        self.runs = {run.name: run for run in runs}
        self.expander = expander
        self.on_over = on_over
        self.changed = threading.Condition()
        self.stopped = False
        self.alive = 0
        self.peak_alive = 0
        self._ready = ReadyTasks(resident)
        self._parked: list[tuple[float, float, int, Task]] = []
        self._order: list[Task] = []
        self._low = 0
        self._running = 0
        self._window = 1 << 60
        self._count = 0
        self._left = sum(not run.over for run in runs)

    def start(self) -> None:
        """Make the first tasks: those of every step that waits for no stream's length."""
        with self.changed:
            open_ = [run for run in self.runs.values() if not run.over]
            for run in open_:
                run.blockers = sum(1 for _ in self._blocking(run))
            over = self._expand([run for run in open_ if run.blockers == 0])
        self._settle(over)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do, or the run was stopped."""
        return self._left == 0 or self.stopped

    def stop(self) -> None:
        """Hand out nothing more and wake everybody."""
        with self.changed:
            self.stopped = True
            self.changed.notify_all()

    # --- for workers ------------------------------------------------------------------------------------

    def take(self, lanes: Collection[str] | None = None) -> Task | None:
        """The ready task of lowest position on some lanes (all unless given); None if there is none now.

        Where that one's models would have to be loaded, a task goes before it whose models are there.
        """
        with self.changed:
            if self.finished:
                return None
            self._unpark()
            task = self._ready.take(lanes, self._low + self._window, self._stuck)
            if task is None:
                return None
            task.state = State.RUNNING
            self._running += 1
            return task

    def wait(self, timeout: float | None = None) -> None:
        """Sleep until something changes, a parked task is due, or the time is up."""
        with self.changed:
            if self.finished:
                return
            if self._parked:
                due = max(0.001, self._parked[0][0] - time.monotonic())
                timeout = due if timeout is None else min(timeout, due)
            self.changed.wait(timeout)

    @property
    def parked(self) -> bool:
        """Whether some task waits for another process's lease."""
        return bool(self._parked)

    def done(self, task: Task) -> None:
        """A task's references are known (and its values held, if they were made and are needed)."""
        with self.changed:
            if task.values is not None and task.users <= 0 and not task.pinned:
                task.values = None
            if task.values is not None:
                self.alive += 1
                self.peak_alive = max(self.peak_alive, self.alive)
            over = self._finish(task, State.DONE)
        self._settle(over)

    def failed(self, task: Task, error: str, exit_code: int = 1) -> None:
        """A task raised: its step fails, its descendants are skipped, everything else goes on."""
        with self.changed:
            run = task.run
            if not run.failed:
                run.failed, run.exit_code = error, exit_code
            over = [*self._finish(task, State.FAILED), *self._cut(run)]
        self._settle(over)

    def park(self, task: Task, delay: float) -> None:
        """Another process computes this task's key: look it up again later."""
        with self.changed:
            task.state = State.WAITING
            self._running -= 1
            self._count += 1
            heapq.heappush(self._parked, (time.monotonic() + delay, delay, self._count, task))

    def requeue(self, task: Task, missing: Sequence[Task], revive: Sequence[StepRun]) -> None:
        """A task needs values whose objects are gone: their tasks run (again) first.

        Args:
            task: the task that cannot run yet.
            missing: finished tasks whose values are neither in memory nor on disk.
            revive: steps that the plan took for hits and that have to run after all.
        """
        with self.changed:
            task.state = State.WAITING
            self._running -= 1
            over: list[StepRun] = []
            revived = [other for run in revive for other in self._revive(run, task, over)]
            # What another worker has made again meanwhile is read at the next try.
            for other in [*missing, *(t for t in revived if t.state is not State.DONE)]:
                self._again(other, task)
            if task.waiting == 0:
                self._push(task)
            self.changed.notify_all()
        self._settle(over)

    # --- inside the lock --------------------------------------------------------------------------------

    def _stuck(self, position: int) -> bool:
        """Whether only a task beyond the window can go on, the lowest of which is at a position.

        A planned hit that has to run again may need tasks that the order did not know it needs.
        """
        if self._running or self._parked:
            return False
        return all(ready.position >= position for ready in self._ready)

    def _push(self, task: Task) -> None:
        if task.state is State.FAILED:
            return
        task.state = State.READY
        self._ready.push(task)

    def _unpark(self) -> None:
        now = time.monotonic()
        while self._parked and self._parked[0][0] <= now:
            self._push(heapq.heappop(self._parked)[3])

    def _blocking(self, run: StepRun) -> Iterable[StepRun]:
        """Upstream steps, one for each edge that keeps a step from being expanded."""
        for port, _, feeds in run.step.sources:
            for step, _ in feeds:
                upstream = self.runs[step.name]
                streamed = is_streamed(run.step, port) and not upstream.chunked
                if not (upstream.over if streamed else upstream.expanded or upstream.over):
                    yield upstream

    def _expand(self, runs: Sequence[StepRun]) -> list[StepRun]:
        """Expand steps, and those that this unblocks; returns steps that turned out to be over."""
        fresh: list[Task] = []
        over: list[StepRun] = []
        queue = list(runs)
        for run in queue:
            if run.over or run.expanded:
                continue
            try:
                fresh += self.expander.expand(run)
            except FlowsynthError as error:
                run.failed, run.exit_code = str(error), error.exit_code
                run.tasks, run.open = [], 0
                run.expanded = True
                over += [run, *self._cut(run)]
            queue += self._unblock(run, expanded=True)
        self._number(fresh)
        return over

    def _unblock(self, run: StepRun, *, expanded: bool) -> list[StepRun]:
        """Consumers that an upstream's expansion, or its end, leaves with nothing in the way."""
        free = []
        for step in run.step.consumers:
            consumer = self.runs[step.name]
            if consumer.over or consumer.expanded:
                continue
            for port, _, feeds in consumer.step.sources:
                streamed = is_streamed(consumer.step, port) and not run.chunked
                if streamed is not expanded:
                    consumer.blockers -= sum(1 for upstream, _ in feeds if upstream is run.step)
            if consumer.blockers == 0:
                free.append(consumer)
        return free

    def _number(self, fresh: list[Task]) -> None:
        ordered = assign_positions(fresh, len(self._order))
        self._order += ordered
        streams = {id(t.run) for t in ordered if t.role is Role.CHUNK}
        if streams:
            chunked = sum(1 for run in self.runs.values() if run.chunked and run.expanded and not run.over)
            self._window = AHEAD * max(1, chunked)
        for task in ordered:
            if task.waiting == 0:
                self._push(task)
        self.changed.notify_all()

    def _revive(self, run: StepRun, needer: Task, over: list[StepRun]) -> list[Task]:
        if not run.expanded:
            over += self._expand(self._unexpanded(run))
            tasks = self.expander.expand(run)
            run.settled = False
            self._left += 1
            for task in tasks:
                task.position, task.floating = needer.position, True
                if task.waiting == 0:
                    self._push(task)
        return self._read_by(needer, run)

    def _read_by(self, needer: Task, run: StepRun) -> list[Task]:
        """The tasks of a step whose values a task reads."""
        if not run.chunked:
            return run.tasks[-1:]
        step = needer.run.step
        ports = [port for port, _, feeds in step.sources if any(other is run.step for other, _ in feeds)]
        if needer.span is None or not all(is_streamed(step, port) for port in ports):
            return list(run.tasks)
        edges = [edge for edge in self.expander.stream_edges(needer.run) if edge.upstream is run]
        ranges = [needer.span.reads[edge.name] for edge in edges if edge.name in needer.span.reads]
        return list(dict.fromkeys(task for reads in ranges for task in run.overlapping(*reads)))

    def _again(self, other: Task, needer: Task) -> None:
        """Have a finished task make its values again for another, unless they are in memory by now."""
        other.users += 1
        needer.extra.append(other)
        if other.values is not None:
            return
        if other.state is State.DONE:
            other.state = State.WAITING
            if other.waiting == 0:
                self._push(other)
        other.forced = True
        needer.wait_for(other)

    def _unexpanded(self, run: StepRun) -> list[StepRun]:
        """Steps above a planned hit that run again too and whose tasks are not made yet, upstream first."""
        above: set[str] = set()
        stack = [run]
        for step in (s for r in iter(stack) for _, _, feeds in r.step.sources for s, _ in feeds):
            other = self.runs[step.name]
            if other.name not in above and not other.over:
                above.add(other.name)
                stack.append(other)
        return [r for r in self.runs.values() if r.name in above and not r.expanded] if above else []

    def _finish(self, task: Task, state: State) -> list[StepRun]:
        self._running -= task.state is State.RUNNING
        task.state, task.forced = state, False
        for waiter in task.waiters:
            waiter.waiting -= 1
            if waiter.waiting == 0 and waiter.state is State.WAITING:
                self._push(waiter)
        task.waiters = []
        self._release(task)
        over: list[StepRun] = []
        if not task.counted:
            task.counted = True
            task.run.open -= 1
            if task.run.open == 0:
                over.append(task.run)
        while self._low < len(self._order) and self._order[self._low].state in (State.DONE, State.FAILED):
            self._low += 1
        self.changed.notify_all()
        return over

    def _release(self, task: Task) -> None:
        """A task is over: what it read may be dropped when nobody else needs it."""
        deps = [*([] if task.counted else task.deps), *task.extra]
        task.extra = []
        for dep in deps:
            dep.users -= 1
            if dep.users <= 0 and dep.values is not None and not dep.pinned:
                dep.values = None
                self.alive -= 1

    def _cut(self, failed: StepRun) -> list[StepRun]:
        """End what a failed step leaves without a purpose: its descendants, and what only they needed."""
        over: list[StepRun] = []
        queue = [failed]
        for run in queue:
            below = [self.runs[step.name] for step in run.step.consumers] if run.failed or run.cut else []
            above = [self.runs[step.name] for _, _, feeds in run.step.sources for step, _ in feeds]
            for other in below:
                if other.active:
                    other.skipped = other.cut = True
                    queue.append(other)
            for task in run.tasks:
                if task.state in (State.WAITING, State.READY):
                    over += self._finish(task, State.FAILED)
            if not run.tasks and run is not failed:
                over.append(run)
            for other in above:
                if other.active and self._useless(other):
                    other.skipped = True
                    queue.append(other)
        return over

    def _useless(self, run: StepRun) -> bool:
        consumers = [self.runs[step.name] for step in run.step.consumers]
        ended = all(consumer.skipped or consumer.failed for consumer in consumers)
        return bool(consumers) and ended and not run.step.wanted

    # --- outside the lock -------------------------------------------------------------------------------

    def _settle(self, over: Sequence[StepRun]) -> None:
        """Steps whose tasks are all over: tell the engine, then expand what that unblocks."""
        queue = list(over)
        for run in queue:
            if run.settled:
                continue
            run.settled = True
            self.on_over(run)
            with self.changed:
                self._left -= 1
                if run.failed:  # also when the engine could not put its chunks together
                    queue += self._cut(run)
                queue += self._expand(self._unblock(run, expanded=False))
                self.changed.notify_all()
