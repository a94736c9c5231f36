"""What happens to one task: its key, a look into the cache, a lease, an order, and what comes of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowsynth.cache.errors import CacheError
from flowsynth.core.errors import CancelledError, FlowsynthError, RunError, error_text, of_node
from flowsynth.core.events import Observer
from flowsynth.core.options import Keep
from flowsynth.core.refs import Ref, Trace, objects_of
from flowsynth.core.status import TaskStatus
from flowsynth.core.streams import Scan
from flowsynth.executors.inputs import gather, makers, whole_ref
from flowsynth.executors.ledger import Ledger
from flowsynth.executors.order import Given, Order, Outcome
from flowsynth.executors.results import object_names
from flowsynth.executors.scheduler import PARK_SECONDS, Scheduler
from flowsynth.executors.seats import Crew, Seat, SeatLostError
from flowsynth.executors.tasks import Role, Task, task_key
from flowsynth.executors.uses import comes_late, keep_policy, owed

if TYPE_CHECKING:
    from flowsynth.cache.store import Cache

#: How long a task waits for another process before the user hears of it.
PATIENCE_SECONDS = 10.0


@dataclass(slots=True)
class Desk:
    """What all workers of a run use.

    Attributes:
        scheduler: hands tasks out and learns what became of them.
        ledger: writes traces.
        crew: carries orders out, here or elsewhere.
        observer: hears what happens.
        cancelled: set to end the run.
        specs: the graph's entries under ``models:``.
        keep: what is kept of nodes that leave it to the run.
    """

    scheduler: Scheduler
    ledger: Ledger
    crew: Crew
    observer: Observer
    cancelled: threading.Event
    specs: Mapping[str, Mapping[str, Any]]
    keep: Keep = "costly"

    @property
    def cache(self) -> Cache:
        """The cache."""
        return self.ledger.cache


class Worker:
    """Runs tasks that a scheduler hands out. One a thread.

    Args:
        desk: what all of them use.
        seat: carries orders out.
    """

    def __init__(self, desk: Desk, seat: Seat) -> None:
        self.desk = desk
        self.seat = seat
        self.scheduler = desk.scheduler
        self.cache = desk.cache
        self._missed = False

    def execute(self, task: Task) -> None:
        """Bring one task as far as it gets: done, failed, parked, or back in the queue.

        Raises:
            CacheError: the cache cannot be used (a full disk): that concerns the run, not one node.
            SeatLostError: this seat is gone; the task is back in the queue.
        """
        try:
            self._execute(task)
        except CacheError:
            raise
        except SeatLostError:
            self.scheduler.give_back(task)
            raise
        except CancelledError:
            self.scheduler.stop()
        except Exception as error:
            code = error.exit_code if isinstance(error, FlowsynthError) else 1
            self.scheduler.failed(task, of_node(task.run.name, error_text(error)), code)

    def _execute(self, task: Task) -> None:
        broken = task.broken
        if broken is not None:
            raise RunError(f"what {broken.run.name} gave is gone and could not be made again")
        given = gather(task)
        pairs = [(one.port, one.hash) for one in given]
        task.key = key = task_key(task, pairs)
        if task.role is Role.WHOLE:
            task.run.key = key
        if not self._claimed(task):
            return
        leased = task.run.step.kept
        try:
            outcome = self._performed(task, self._order(task, given))
            if outcome.missing:
                self._missing(task, outcome.missing)
            elif outcome.failed:
                task.run.note(outcome.notes)
                changed = task.run.step.files.changed()  # then that may be all that is wrong
                text = f"{outcome.failed} ({changed})" if changed else outcome.failed
                self.scheduler.failed(task, text, outcome.code)
            else:
                self._computed(task, outcome, pairs)
                leased &= outcome.rounded  # the cache gives it back with the commit
        finally:
            if leased:
                self.cache.leases.release([key])

    def _performed(self, task: Task, order: Order) -> Outcome:
        """Have an order carried out, by the clock."""
        start = time.monotonic()
        outcome = self.seat.perform(order)
        if not outcome.missing:
            clock = task.run.clock
            clock.worked(order.device, task.ready_since, start, time.monotonic(), outcome.peak_bytes)
            task.ready_since = 0.0
        return outcome

    # --- before -----------------------------------------------------------------------------------------

    def _claimed(self, task: Task) -> bool:
        """Whether this task is ours to compute, its key leased if it is to be kept: no hit, nobody else's."""
        if not task.run.step.kept:
            return True
        # Hits come in runs, and so do misses: after a miss, the look before the lease is left out.
        if not task.forced and not self._missed and self._hit(task):
            return False
        if not self.cache.leases.try_acquire(task.key):
            self._park(task)
            return False
        if not task.forced and self._hit(task):
            self.cache.leases.release([task.key])
            self._missed = False
            return False
        self._missed = True
        return True

    def _hit(self, task: Task) -> bool:
        row = self.cache.lookup(task.key)
        trace = Trace.from_bytes(row) if row is not None else None
        if trace is None or (task.run.step.wanted and lost(self.cache, trace.outputs)):
            return False
        task.refs = trace.outputs
        self._share(task)
        task.run.note(trace.notes)
        # What this run made, before it had to begin another pass, is no hit to the user.
        made = task.key in task.run.made
        if not made:
            task.run.clock.save(trace.seconds)
        self._done(task, "computed" if made else "hit")
        return True

    def _share(self, task: Task) -> None:
        """A task of equal results may hold what no object does (frames that stand still): hold it, too."""
        names = tuple(set(object_names(task.refs or {}).values())) if self.desk.crew.local else ()
        shelf = self.scheduler.holding.shelf
        if names and not all(map(self.cache.has_object, names)) and shelf.hold(names):
            task.held, task.spooled = names, shelf.in_files(names)

    def _park(self, task: Task) -> None:
        """Another process computes this key; say so if that takes long: a hung one keeps its lease."""
        now, run = time.monotonic(), task.run
        task.parked_since = task.parked_since or now
        if now - task.parked_since > PATIENCE_SECONDS and not run.waited:
            run.waited = True
            holder = self.cache.leases.holder(task.key) or "unknown"
            text = f"waits for process {holder}, which computes the same; if it hangs, end it"
            self.desk.observer.note(run.name, text)
        self.scheduler.park(task, PARK_SECONDS)

    def _order(self, task: Task, given: tuple[Given, ...]) -> Order:
        step = task.run.step
        device = self.seat.lane if self.seat.lane in step.others else step.device
        task.run.devices.add(device)
        paid = step.operator.spending() is not None
        parts = step.kept and (paid or (step.models and self.desk.keep != "outputs"))
        specs = (
            {n: self.desk.specs[n] for names in step.models.values() for n in names} if step.models else {}
        )
        return Order(
            step.node.name,
            step.node.operator,
            task.role,
            task.span,
            device,
            given,
            step.models,
            task.key,
            specs,
            task.role is Role.CHUNK and isinstance(step.kind, Scan),
            task.shared,
            keep_policy(task, self.desk.keep),
            comes_late(task),
            step.static.code if parts else "",
            {} if self.desk.crew.local else step.static.identity,
            owed(task),
        )

    # --- after ------------------------------------------------------------------------------------------

    def _missing(self, task: Task, names: Iterable[str]) -> None:
        """Values are gone that were there: who made them does so again, or all is looked up anew."""
        found, before = makers(task, names)
        again = all(maker.run.step.kept for maker in found)
        if before or not (again or self.scheduler.lost_before(names)):
            self.scheduler.lose(names)
        else:
            self.scheduler.requeue(task, found)

    def _computed(self, task: Task, outcome: Outcome, pairs: Sequence[tuple[str, str]]) -> None:
        run = task.run
        task.run.note(outcome.notes)
        run.rounded |= outcome.rounded
        held = tuple(set(object_names(outcome.refs).values())) if self.desk.crew.local else ()
        try:
            self.desk.ledger.task(task, outcome, pairs)
        except BaseException:
            self.scheduler.holding.shelf.drop(held)
            raise
        if task.counted and task.refs != outcome.refs:
            self._changed(task, outcome.refs)
        task.refs, task.held = outcome.refs, held
        task.stored, task.spooled = outcome.stored, outcome.spooled
        task.owed = 0.0 if outcome.stored else outcome.seconds + owed(task)
        task.pinned = bool(run.step.wanted and held) and not outcome.stored
        self._done(task, "computed", outcome.seconds)

    def _changed(self, task: Task, refs: Mapping[str, Ref]) -> None:
        """A task that ran again gave other bytes: what is read from now on is the new result."""
        run = task.run
        task.run.note(["not deterministic: running it again gave another result"])
        task.refs = refs
        if run.outputs is not None:
            run.outputs = None
            run.outputs = {port: whole_ref(run, port) for port in run.step.ports.outputs}

    def _done(self, task: Task, status: TaskStatus, seconds: float = 0.0) -> None:
        run = task.run
        total = len(run.tasks)
        self.scheduler.done(task, status, seconds)
        if task.role is not Role.WHOLE:
            self.desk.observer.task_finished(run.name, status, run.hits + run.computed, total)


def lost(cache: Cache, outputs: Mapping[str, Ref]) -> list[str]:
    """Objects of a result that are not there, or damaged."""
    names = [name for ref in outputs.values() for name in objects_of(ref)]
    return [name for name in names if not cache.is_sound(name)]
