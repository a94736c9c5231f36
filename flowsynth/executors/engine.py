"""From a plan to results: the steps that are not hits are run, joined, traced and reported."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowsynth.core.context import RunContext
from flowsynth.core.events import NodeOutline, Observer
from flowsynth.core.refs import Trace
from flowsynth.core.streams import DEFAULT_CHUNK, StreamInfo, Whole
from flowsynth.executors.expand import Expander
from flowsynth.executors.forecast import probe_key, probe_row, traced_probe
from flowsynth.executors.inputs import whole_ref
from flowsynth.executors.loops import EXECUTORS
from flowsynth.executors.scheduler import Scheduler
from flowsynth.executors.tasks import StepRun
from flowsynth.executors.worker import Shared, sound
from flowsynth.planning.plan import Plan, Step, last_keys_row

if TYPE_CHECKING:
    from flowsynth.cache.store import Cache


@dataclass(slots=True)
class Engine:
    """Runs one plan.

    Attributes:
        plan: what to run.
        cache: where results go.
        observer: hears what happens.
        context: (node, device) -> a context for its operator.
        models: names of models -> what their ports get.
        resident: device, names of models -> whether all of them are loaded there.
        executor: ``serial`` or ``threads``.
        chunk: frames in a chunk.
        debug: keep tracebacks in error messages.
        workers: threads that compute on the CPU.
    """

    plan: Plan
    cache: Cache
    observer: Observer
    context: Callable[[str, str], RunContext]
    models: Callable[[Sequence[str], bool], Any]
    resident: Callable[[str, Sequence[str]], bool]
    executor: str = "serial"
    chunk: int = DEFAULT_CHUNK
    debug: bool = False
    workers: int | None = None
    peak_alive: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _untraced: set[str] = field(default_factory=set)

    def run(self) -> dict[str, StepRun]:
        """Run what is not in the cache; returns every step with its outputs or its error.

        Raises:
            KeyboardInterrupt: after everything that was finished is committed.
        """
        runs: dict[str, StepRun] = {}
        self._confirm()
        for step in self.plan.steps.values():
            runs[step.name] = run = StepRun(step, runs, notes=list(step.notes))
            if step.status == "hit":
                run.outputs, run.settled = step.outputs, True
        if type(self.observer) is not Observer:
            self._outline(runs)
        executing = [run for run in runs.values() if not run.settled]
        if executing:
            try:
                self._execute(runs)
            finally:
                self._remember()
        elif self.plan.last_keys != {s.name: s.key for s in self.plan.steps.values()}:
            self._remember()
        return runs

    def _confirm(self) -> None:
        """Planned hits that the run must deliver and whose objects are damaged run again."""
        for step in self.plan.steps.values():
            if (
                step.status == "hit"
                and step.wanted
                and step.outputs
                and not sound(self.cache, step.outputs.values())
            ):
                step.status = "rerun"

    def _outline(self, runs: dict[str, StepRun]) -> None:
        outline = [
            NodeOutline(
                s.name, type(s.operator).op, s.status, s.device, 1 if isinstance(s.kind, Whole) else None
            )
            for s in self.plan.steps.values()
        ]
        self.observer.run_started(self.plan.graph.name, outline)
        for run in runs.values():
            if run.settled:
                self.observer.node_finished(run.name, "hit", 0.0)

    def _execute(self, runs: dict[str, StepRun]) -> None:
        shared = Shared(
            self.cache, self.observer, self.context, self.models, threading.Event(), self.debug, self.workers
        )
        expander = Expander(runs, self.chunk, self._probe)
        scheduler = Scheduler(list(runs.values()), expander, self._over, self.resident)
        lanes = sorted({run.step.device for run in runs.values()})
        try:
            scheduler.start()
            EXECUTORS[self.executor](scheduler, shared, lanes)
        finally:
            self.peak_alive = scheduler.peak_alive
            self.cache.commit()

    def _remember(self) -> None:
        if not self.cache.read_only:
            self.cache.record(self.plan.row, last_keys_row(self.plan), 0.0)
            self.cache.commit()

    def _probe(self, step: Step) -> StreamInfo:
        info = traced_probe(step, self.cache.lookup)
        if info is None:
            info = step.operator.probe(self.context(step.name, step.device))
            if step.kept:
                self.cache.record(probe_key(step), probe_row(info), 0.0)
        return info

    def _over(self, run: StepRun) -> None:
        """All tasks of a step are over: put its outputs together, trace the node as one, and say so."""
        if not run.failed and not run.skipped:
            try:
                self._join(run)
            except ValueError as error:
                run.failed = f"{run.name}: {error}"
        for note in run.notes:
            self.observer.note(run.name, note)
        if run.failed:
            self.observer.node_finished(run.name, "failed", run.seconds, run.failed)
        elif run.skipped:
            self.observer.node_finished(run.name, "skipped", run.seconds)
        else:
            self.observer.node_finished(run.name, "computed" if run.computed else "hit", run.seconds)

    def _join(self, run: StepRun) -> None:
        step = run.step
        outputs = {port: whole_ref(run, port) for port in step.ports.outputs}
        with self._lock:
            run.outputs = step.outputs = outputs
            if not isinstance(step.kind, Whole):  # a whole task's key is the node's
                self._trace(run)
            if self._untraced:
                for consumer in step.consumers:
                    if consumer.name in self._untraced:
                        self._trace(run.peers[consumer.name])

    def _trace(self, run: StepRun) -> None:
        """Record the node as one; later, if a step above it has frames left that nobody here reads."""
        step = run.step
        self._untraced.discard(run.name)
        if any(run.peers[s.name].outputs is None for _, _, feeds in step.sources for s, _ in feeds):
            self._untraced.add(run.name)
            return
        pairs = step.known_inputs()
        if pairs is None or step.static is None or run.outputs is None:
            return
        step.key = step.static.key(pairs)
        if step.kept:
            row = Trace(run.outputs, run.seconds, step.static.why(pairs)).to_bytes()
            self.cache.record(step.key, row, 0.0)
