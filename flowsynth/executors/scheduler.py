"""One scheduler for whole values and for chunks: a lock, ready tasks, and workers that pull."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence

from flowsynth.core.errors import FlowsynthError, error_text, of_node
from flowsynth.core.status import TaskStatus
from flowsynth.executors.expand import Expander
from flowsynth.executors.holding import Holding
from flowsynth.executors.parked import Parked
from flowsynth.executors.positions import assign_positions
from flowsynth.executors.ready import ReadyTasks
from flowsynth.executors.rooms import Rooms
from flowsynth.executors.shelf import Shelf
from flowsynth.executors.tasks import Role, State, StepRun, Task

#: How long a task whose lease another process holds is left alone before it is looked up again, in seconds.
PARK_SECONDS = 0.02
#: Chunks of each stream that may be ahead of the slowest one, for each device that works on it.
AHEAD = 2


class Scheduler:
    """Hands out tasks in depth-first order and learns what became of them.

    No task starts more than a window of positions ahead of the lowest unfinished one, so the number of chunks
    alive does not grow with the video.

    Args:
        runs: all steps of the run in topological order, hits included.
        expander: makes tasks out of steps.
        on_over: called (outside the lock) with each step when all its tasks are over.
        resident: place, names of models -> whether they are loaded there, so that a task finds them warm.
        shelf: holds the values of tasks; told to drop them when nobody is left to read them.
        lost: objects that earlier passes of the run found to be gone.

    Attributes:
        gone: objects that this pass found to be gone, though the plan counted on them: it has ended early.
    """

    def __init__(
        self,
        runs: Sequence[StepRun],
        expander: Expander,
        on_over: Callable[[StepRun], None],
        resident: Callable[[str, Sequence[str]], bool],
        shelf: Shelf,
        lost: Collection[str] = (),
    ) -> None:
        self.runs = {run.name: run for run in runs}
        self.expander = expander
        self.on_over = on_over
        self.holding = Holding(shelf)
        self.stopped = False
        self.gone: set[str] = set()
        self._lost = lost
        self._lock = threading.RLock()
        self._rooms = Rooms(self._lock)
        self._ready = ReadyTasks(resident)
        self._parked = Parked()
        self._order: list[Task] = []
        self._low = 0
        self._window = 1 << 60
        self._devices = max(
            [1 + len(run.step.others) for run in runs], default=1
        )  # each has chunks under way
        self._left = sum(not run.over for run in runs)

    def start(self) -> None:
        """Make the first tasks: those of every step that waits for no stream's length."""
        with self._lock:
            open_ = [run for run in self.runs.values() if not run.over]
            for run in open_:
                run.unread = sum([not reader.over for reader in run.readers()])
            fresh: list[Task] = []
            over: list[StepRun] = []
            for run in open_:  # upstream first: what was expanded before is in nobody's way
                run.blockers = self._blockers(run)
                if run.blockers == 0:
                    over += self._expand_one(run, fresh)
            self._number(fresh)
        self._settle(over)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do, or the run was stopped."""
        return self._left == 0 or self.stopped

    def stop(self) -> None:
        """Hand out nothing more and wake everybody."""
        with self._lock:
            self.stopped = True
            self._rooms.wake_all()

    # --- for workers ------------------------------------------------------------------------------------

    def take(self, lanes: Collection[str] | None = None, place: str = "") -> Task | None:
        """The ready task of lowest position on some lanes (all unless given); None if there is none now.

        Where that one's models would have to be loaded, a task goes before it whose models are there.

        Whoever takes of one lane and finds it empty helps out where more tasks wait than workers.

        Args:
            lanes: whose tasks.
            place: where it will be carried out; where it is placed unless given.
        """
        with self._lock:
            if self.finished:
                return None
            for task in self._parked.due() if self._parked else ():
                self._push(task)
            reach = self._low + self._window
            found = self._ready.take(lanes, reach, place)
            if found is None and lanes is not None and len(lanes) == 1:
                found = self._ready.help(next(iter(lanes)), reach, place, self._rooms.waiting)
            if found is not None:
                found.state = State.RUNNING
            return found

    def wait(self, timeout: float | None = None, lane: str = "") -> None:
        """Sleep until a lane has a task, a parked one is due, the run is over, or the time is up."""
        with self._lock:
            reach = self._low + self._window
            if self.finished or (lane and self._ready.has(lane, reach, self._rooms.waiting)):
                return
            if self._parked:
                timeout = min(self._parked.wait(), timeout or threading.TIMEOUT_MAX)
            self._rooms.wait(lane, timeout)

    @property
    def parked(self) -> bool:
        """Whether some task waits for another process's lease."""
        return bool(self._parked)

    def done(self, task: Task, status: TaskStatus, seconds: float) -> None:
        """A task's references are known (and its values held, if they were made and are needed)."""
        with self._lock:
            task.tally(status, seconds)
            if task.held:
                self.holding.take(task)
            over = self._finish(task, State.DONE)
        self._settle(over, task.lane)

    def failed(self, task: Task, error: str, exit_code: int = 1) -> None:
        """A task raised: its step fails, its descendants are skipped, everything else goes on."""
        with self._lock:
            run = task.run
            if not run.failed:
                run.failed, run.exit_code = error, exit_code
            over = [*self._finish(task, State.FAILED), *self._cut(run)]
        self._settle(over, task.lane)

    def park(self, task: Task, delay: float) -> None:
        """Another process computes this task's key: look it up again later."""
        with self._lock:
            task.state = State.WAITING
            self._parked.add(task, delay)

    def requeue(self, task: Task, makers: Sequence[Task]) -> None:
        """A task needs values whose objects are gone: the tasks that made them run again first."""
        with self._lock:
            task.state = State.WAITING
            for maker in makers:
                self._again(maker, task)
            if task.waiting == 0:
                self._push(task)
            self._rooms.wake(self._count, task.lane)

    def give_back(self, task: Task) -> None:
        """A task that was handed out could not be carried out: another worker gets it."""
        with self._lock:
            self._push(task)
            self._rooms.wake(self._count, "")

    def lose(self, names: Iterable[str]) -> None:
        """Objects are gone that the plan counted on: nothing more is handed out, so that it is made anew."""
        with self._lock:
            self.gone.update(names)
            self.stopped = True
            self._rooms.wake_all()

    def lost_before(self, names: Iterable[str]) -> bool:
        """Whether an earlier pass of the run ended for the sake of all of some objects."""
        return all(name in self._lost for name in names)

    # --- inside the lock --------------------------------------------------------------------------------

    def _count(self, lane: str) -> int:
        """How many tasks there are for a lane's workers, with those of others that they may help with."""
        return self._ready.count(lane) + self._ready.surplus(lane, self._rooms.waiting)

    def _push(self, task: Task) -> None:
        if task.state is State.FAILED:
            return
        if task.role is Role.END:
            self._reached(task)
            return
        task.state = State.READY
        task.ready_since = task.ready_since or time.monotonic()
        self._ready.push(task)

    def _reached(self, end: Task) -> None:
        """All chunks of a stream are over: who needs them all may go on."""
        end.state = State.FAILED if any(t.state is State.FAILED for t in end.deps) else State.DONE
        end.owed = sum(task.owed for task in end.deps)
        self._wake_waiters(end)
        self._advance()
        self.holding.drop_if_idle(end)

    def _wake_waiters(self, task: Task) -> None:
        for waiter in task.waiters:
            waiter.waiting -= 1
            if waiter.waiting == 0 and waiter.state is State.WAITING:
                self._push(waiter)
        task.waiters = []

    def _advance(self) -> None:
        while self._low < len(self._order) and self._order[self._low].state in (State.DONE, State.FAILED):
            self._low += 1

    def _blockers(self, run: StepRun) -> int:
        """How many edges keep a step from being expanded."""
        count = 0
        for given in run.step.inputs:
            streamed = given.port in run.step.streamed
            for edge in given.edges:
                upstream = self.runs[edge.node]
                needs_length = streamed and not upstream.chunked
                count += not ((upstream.expanded and not needs_length) or upstream.over)
        return count

    def _expand(self, runs: Sequence[StepRun]) -> list[StepRun]:
        """Expand steps, and those that this unblocks; returns steps that turned out to be over."""
        fresh: list[Task] = []
        over: list[StepRun] = []
        queue = list(runs)
        for run in queue:
            if not run.over and not run.expanded:
                over += self._expand_one(run, fresh)
                queue += self._unblock(run, expanded=True) if run.unread > 0 else ()
        self._number(fresh)
        return over

    def _expand_one(self, run: StepRun, fresh: list[Task]) -> Sequence[StepRun]:
        """Make the tasks of a step, if it still needs any; returns steps that turned out to be over."""
        if run.over or run.expanded:
            return ()
        over: Sequence[StepRun] = ()
        try:
            fresh += self.expander.expand(run)
        except BaseException as error:  # a length, a probe or reads: somebody else's code
            if isinstance(error, KeyboardInterrupt):
                raise
            over = self._unable(run, error)
        self._no_longer_unread(run)
        return over

    def _unable(self, run: StepRun, error: BaseException) -> list[StepRun]:
        """A step whose tasks cannot be made."""
        run.failed = of_node(run.name, error_text(error))
        run.exit_code = error.exit_code if isinstance(error, FlowsynthError) else 1
        run.tasks, run.open = [], 0
        run.expanded = True
        return [run, *self._cut(run)]

    def _unblock(self, run: StepRun, *, expanded: bool) -> list[StepRun]:
        """Consumers that an upstream's expansion, or its end, leaves with nothing in the way."""
        free: list[StepRun] = []
        for reader in run.readers():
            if reader.over or reader.expanded:
                continue
            for given in reader.step.inputs:
                needs_length = given.port in reader.step.streamed and not run.chunked
                if needs_length is not expanded:
                    reader.blockers -= sum(1 for edge in given.edges if edge.node == run.name)
            if reader.blockers == 0:
                free.append(reader)
        return free

    def _no_longer_unread(self, reader: StepRun) -> None:
        """A step has its tasks, or will never have any: what it reads is kept for these tasks only."""
        for run in dict.fromkeys(reader.sources()):
            run.unread -= 1
            if run.unread == 0:
                for task in run.tasks:
                    self.holding.drop_if_idle(task)

    def _number(self, fresh: list[Task]) -> None:
        if not fresh:
            return
        ordered = assign_positions(fresh, len(self._order))
        self._order += ordered
        streams = {id(t.run) for t in ordered if t.role is Role.CHUNK}
        if streams:
            chunked = sum(1 for run in self.runs.values() if run.chunked and run.expanded and not run.over)
            self._window = AHEAD * self._devices * max(1, chunked)
        for task in ordered:
            if task.waiting == 0:
                self._push(task)

    def _again(self, other: Task, needer: Task) -> None:
        """Have a finished task make its values again for another, unless they are in memory by now."""
        other.users += 1
        other.soon += 1
        needer.extra.append(other)
        if other.held:
            if self.holding.has(other):
                return
            self.holding.drop(other)  # its files are gone
        if other.state is State.DONE:
            other.state = State.WAITING
            if other.waiting == 0:
                self._push(other)
        other.forced = True
        needer.wait_for(other)

    def _finish(self, task: Task, state: State) -> list[StepRun]:
        task.state, task.forced = state, False
        if state is State.FAILED and task.run.end is not None and task.run.end.state is State.DONE:
            task.run.end.state = state  # it was lost, and could not be made again
        self._wake_waiters(task)
        self.holding.release(task)
        over: list[StepRun] = []
        if not task.counted:
            task.counted = True
            task.run.open -= 1
            if task.run.open == 0:
                over.append(task.run)
        self._advance()
        return over

    def _cut(self, failed: StepRun) -> list[StepRun]:
        """End what a failed step leaves without a purpose: its descendants, and what only they needed."""
        over: list[StepRun] = []
        queue = [failed]
        for run in queue:
            for other in run.readers() if run.failed or run.cut else ():
                if not other.over:
                    other.skipped = other.cut = True
                    queue.append(other)
            for task in run.tasks:
                if task.state in (State.WAITING, State.READY):
                    over += self._finish(task, State.FAILED)
            if not run.tasks and run is not failed:
                over.append(run)
            if not run.expanded:
                run.expanded = True
                self._no_longer_unread(run)
            for other in run.sources():
                if not other.over and self._useless(other):
                    other.skipped = True
                    queue.append(other)
        return over

    def _useless(self, run: StepRun) -> bool:
        readers = list(run.readers())
        ended = all(reader.skipped or reader.failed for reader in readers)
        return bool(readers) and ended and not run.step.wanted

    # --- outside the lock -------------------------------------------------------------------------------

    def _settle(self, over: Sequence[StepRun], lane: str = "") -> None:
        """Steps whose tasks are all over: tell the engine, then expand what that unblocks.

        Args:
            over: the steps.
            lane: the caller's own, who comes back for another task.
        """
        queue = list(over)
        for run in queue:
            if run.settled:
                continue
            run.settled = True
            self.on_over(run)
            with self._lock:
                self._left -= 1
                if run.failed:  # also when the engine could not put its chunks together
                    queue += self._cut(run)
                if run.unread > 0:
                    queue += self._expand(self._unblock(run, expanded=False))
        with self._lock:
            if self.finished:
                self._rooms.wake_all()
            else:
                self._rooms.wake(self._count, lane)
