"""What happens to one task: its key, a look into the cache, a lease, inputs, the operator, results."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowsynth.cache.errors import CacheError
from flowsynth.core.context import RunContext
from flowsynth.core.errors import CancelledError, FlowsynthError, RunError
from flowsynth.core.events import Observer
from flowsynth.core.refs import Ref, Trace, objects_of
from flowsynth.core.streams import Scan
from flowsynth.executors.expand import is_streamed
from flowsynth.executors.inputs import Feed, MissingError, gather, hashes, whole_ref
from flowsynth.executors.placed import handed
from flowsynth.executors.results import references, store, worth_storing
from flowsynth.executors.scheduler import PARK_SECONDS, Scheduler
from flowsynth.executors.tasks import SEGMENT, STATE, Role, StepRun, Task, task_key

if TYPE_CHECKING:
    from flowsynth.cache.store import Cache

#: How long a task waits for another process before the user hears of it.
PATIENCE_SECONDS = 10.0


@dataclass(slots=True)
class Shared:
    """What all workers of a run use.

    Attributes:
        cache: the cache.
        observer: hears what happens.
        context: node, device -> a context for the operator.
        models: names of models -> the values that model ports get.
        cancelled: set to end the run.
        debug: keep tracebacks in error messages.
        workers: threads that compute on the CPU; None for a quarter of the cores, since torch uses several.
    """

    cache: Cache
    observer: Observer
    context: Callable[[str, str], RunContext]
    models: Callable[[Sequence[str], bool], Any]
    cancelled: threading.Event
    debug: bool = False
    workers: int | None = None


class Worker:
    """Runs tasks that a scheduler hands out. One a thread."""

    def __init__(self, scheduler: Scheduler, shared: Shared) -> None:
        self.scheduler = scheduler
        self.shared = shared
        self._missed = False

    def execute(self, task: Task) -> None:
        """Bring one task as far as it gets: done, failed, parked, or back in the queue.

        Raises:
            CacheError: the cache cannot be used (a full disk): that concerns the run, not one node.
        """
        try:
            self._execute(task)
        except CacheError:
            raise
        except CancelledError:
            self.scheduler.stop()
        except Exception as error:
            code = error.exit_code if isinstance(error, FlowsynthError) else 1
            self.scheduler.failed(task, self._message(task, error), code)

    def _message(self, task: Task, error: Exception) -> str:
        text = str(error) or type(error).__name__
        if not isinstance(error, FlowsynthError):
            text = f"{type(error).__name__}: {text}"
        if self.shared.debug:
            text += "\n" + traceback.format_exc()
        return text if text.startswith((task.run.name, "nodes.")) else f"{task.run.name}: {text}"

    def _execute(self, task: Task) -> None:
        run, cache = task.run, self.shared.cache
        broken = task.broken
        if broken is not None:
            raise RunError(f"what {broken.run.name} gave is gone and could not be made again")
        feeds = [Feed.of(task, port, many, sources) for port, many, sources in _sources(task)]
        pairs = hashes(task, feeds)
        key = task_key(task, pairs)
        if task.role is Role.WHOLE:
            run.step.key = key
        kept = run.step.kept
        # Hits come in runs, and so do misses: after a miss, the look before the lease is left out.
        if kept and not task.forced and not self._missed and self._hit(task, key):
            return
        leased = False
        if kept:
            leased = cache.leases.try_acquire(key)
            if not leased:
                self._park(task, key)
                return
            if not task.forced and self._hit(task, key):
                cache.leases.release([key])
                self._missed = False
                return
        self._missed = True
        try:
            self._compute(task, key, feeds, pairs)
            leased = False  # the cache gives it back with the commit
        finally:
            if leased:
                cache.leases.release([key])

    def _park(self, task: Task, key: str) -> None:
        """Another process computes this key; say so if that takes long: a hung one keeps its lease."""
        now = time.monotonic()
        task.parked_since = task.parked_since or now
        if now - task.parked_since > PATIENCE_SECONDS and not task.run.waited:
            task.run.waited = True
            holder = self.shared.cache.leases.holder(key)
            self.shared.observer.note(
                task.run.name,
                f"waits for process {holder or 'unknown'}, which computes the same; if it hangs, end it",
            )
        self.scheduler.park(task, PARK_SECONDS)

    def _hit(self, task: Task, key: str) -> bool:
        row = self.shared.cache.lookup(key)
        trace = Trace.from_bytes(row) if row is not None else None
        if trace is None or (task.run.step.wanted and not sound(self.shared.cache, trace.outputs.values())):
            return False
        task.refs = trace.outputs
        task.run.hits += 1
        self._finished(task, "hit")
        return True

    def _finished(self, task: Task, status: Any) -> None:
        run = task.run
        total = len(run.tasks)
        self.scheduler.done(task)
        if task.role is not Role.WHOLE:
            self.shared.observer.task_finished(run.name, status, run.hits + run.computed, total)

    def _compute(self, task: Task, key: str, feeds: Sequence[Feed], pairs: Sequence[tuple[str, str]]) -> None:
        run, cache = task.run, self.shared.cache
        try:
            inputs = gather(task, feeds, cache)
        except MissingError as missing:
            cache.leases.release([key] if run.step.kept else [])
            self.scheduler.requeue(task, missing.tasks, missing.runs)
            return
        if not run.started:
            run.started = True
            self.shared.observer.node_started(run.name, run.step.device)
        inputs = {port: handed(port, value, run.step.device) for port, value in inputs.items()}
        context = self._context(task, inputs.pop(STATE, None))
        start = time.perf_counter()
        values = self._call(task, context, inputs)
        seconds = time.perf_counter() - start
        run.step.files.check()
        run.notes += [note for note in context.notes if note not in run.notes]
        refs, encoded = references(run.step, values)
        keep = worth_storing(task, refs, seconds)
        stored = {port: store(cache, refs[port], encoded[port], seconds) for port in encoded if keep}
        if run.step.kept:
            why = run.step.static.why(pairs) if run.step.static is not None else "{}"
            cache.record(key, Trace(refs, seconds, why).to_bytes(), seconds)
        held = {port: value for port, value in values.items() if port in encoded}
        on_disk = keep and all(stored.values())
        if task.counted and task.refs != refs:
            self._changed(task, refs)
        task.refs, task.computed = refs, True
        task.values = None if not held or (on_disk and not _read_soon(task)) else held
        task.pinned = bool(run.step.wanted) and bool(held) and not on_disk
        run.computed += 1
        run.seconds += seconds
        self._finished(task, "computed")

    def _changed(self, task: Task, refs: Mapping[str, Ref]) -> None:
        """A task that ran again gave other bytes: what is read from now on is the new result."""
        run = task.run
        run.notes.append("not deterministic: running it again gave another result")
        task.refs = refs
        if run.outputs is not None:
            run.outputs = None
            run.outputs = {port: whole_ref(run, port) for port in run.step.ports.outputs}

    def _context(self, task: Task, state: Any) -> RunContext:
        run, observer = task.run, self.shared.observer
        context = self.shared.context(run.name, run.step.device)
        context.span, context.state = task.span, state
        context.cancelled = self.shared.cancelled
        context.on_progress = lambda step, total: observer.node_progress(run.name, step, total)
        context.check_cancelled()
        return context

    def _call(self, task: Task, context: RunContext, inputs: dict[str, Any]) -> dict[str, Any]:
        step = task.run.step
        operator = step.operator
        inputs.update(
            (port, self.shared.models(names, step.ports.inputs[port].many))
            for port, names in step.models.items()
        )
        if task.role is Role.SEGMENT:
            return {SEGMENT: operator.segment(context, **inputs)}
        if task.role is Role.COMBINE:
            parts = inputs.pop(SEGMENT)
            return named_outputs(task.run, operator.combine(context, parts, **inputs))
        values = named_outputs(task.run, operator.run(context, **inputs))
        if isinstance(step.kind, Scan):
            values[STATE] = context.state
        return values


def sound(cache: Cache, refs: Iterable[Ref]) -> bool:
    """Whether all objects of a result that the run must deliver are there and undamaged."""
    return all(cache.get_object(name) is not None for ref in refs for name in objects_of(ref))


def named_outputs(run: StepRun, result: Any) -> dict[str, Any]:
    """What an operator returned, by output port."""
    ports = run.step.ports
    if not ports.many_outputs:
        return dict.fromkeys(ports.outputs, result)
    return {port: getattr(result, port) for port in ports.outputs}


def _read_soon(task: Task) -> bool:
    """Whether to keep values in memory though they are on disk: not where all of a stream is needed."""
    if task.role is Role.SEGMENT:
        return False  # what combines the segments comes last
    return task.role is not Role.CHUNK or any(d.role is Role.CHUNK for d in task.dependents)


def _sources(task: Task) -> list[tuple[str, bool, Any]]:
    """The input ports that a task reads: a segment only streams, what combines segments only the rest."""
    step = task.run.step
    if task.role is Role.SEGMENT:
        return [s for s in step.sources if is_streamed(step, s[0])]
    if task.role is Role.COMBINE:
        return [s for s in step.sources if not is_streamed(step, s[0])]
    return step.sources
