"""From a plan to results: passes over the steps that are not hits, until none has lost what it counted on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowsynth.core.collector import collector_paused
from flowsynth.core.errors import RunError, listing
from flowsynth.core.events import NodeOutline, Observer
from flowsynth.core.options import RunOptions
from flowsynth.core.refs import Trace, objects_of
from flowsynth.core.streams import StreamInfo, Whole
from flowsynth.executors.expand import Expander
from flowsynth.executors.forecast import probe_key, probe_row, traced_probe
from flowsynth.executors.host import RunHost
from flowsynth.executors.ledger import Ledger, remember
from flowsynth.executors.loops import run_serial, run_threads
from flowsynth.executors.passes import first_runs, next_runs
from flowsynth.executors.perform import Workplace
from flowsynth.executors.previews import PreviewMaker
from flowsynth.executors.room import require_room
from flowsynth.executors.scheduler import Scheduler
from flowsynth.executors.seats import Crew, Here
from flowsynth.executors.shelf import Shelf
from flowsynth.executors.tasks import StepRun
from flowsynth.executors.worker import Desk, lost
from flowsynth.planning.plan import Plan, replan

if TYPE_CHECKING:
    from flowsynth.cache.store import Cache


@dataclass(slots=True)
class Engine:
    """Runs one plan, which stays as it is.

    Attributes:
        plan: what to run.
        cache: where results go.
        host: contexts and models.
        options: how to run it.
        observer: hears what happens.
        crew: makes the crew that carries orders out, of the place where this process would; None is threads
            of this process.
        shelf: values that are only in memory.
        peak_alive: most tasks whose values were in memory at once.
        runs: every step as the pass under way has it.
    """

    plan: Plan
    cache: Cache
    host: RunHost
    options: RunOptions
    observer: Observer
    crew: Callable[[Workplace], Crew] | None = None
    shelf: Shelf = field(default_factory=Shelf)
    peak_alive: int = 0
    runs: dict[str, StepRun] = field(default_factory=dict)
    _cancelled: threading.Event = field(default_factory=threading.Event)
    _lost: set[str] = field(default_factory=set)
    _previews: PreviewMaker | None = None

    def run(self) -> dict[str, StepRun]:
        """Run what is not in the cache; returns every step with its outputs or its error.

        Raises:
            KeyboardInterrupt: after everything that was finished is committed.
        """
        plan = self._confirmed()
        with collector_paused():
            self.runs = first_runs(plan)
        if type(self.observer) is not Observer:
            self._outline(plan, self.runs)
        previews = self._previews = PreviewMaker(self.cache.previews) if self.options.previews else None
        place = Workplace(
            self.cache, self.host, self.shelf, self.observer, self._cancelled, self.options.debug, previews
        )
        crew = Here(place) if self.crew is None else self.crew(place)
        try:
            while gone := self._pass(self.runs, crew):
                if gone <= self._lost:
                    raise RuntimeError(f"objects were lost twice: {', '.join(sorted(gone))}")
                self._lost |= gone
                plan = self._again(plan)
                before, self.runs = self.runs, next_runs(plan, self.runs)
                self._tell_settled(before)
        finally:
            self._remember(self.runs)
        return self.runs

    def _confirmed(self) -> Plan:
        """The plan, made anew if planned hits that the run must deliver are damaged."""
        wanted = [s.outputs for s in self.plan.steps.values() if s.wanted and s.status == "hit" and s.outputs]
        self.cache.fetch([name for outputs in wanted for ref in outputs.values() for name in objects_of(ref)])
        for outputs in wanted:
            self._lost.update(lost(self.cache, outputs))
        return self._again(self.plan) if self._lost else self.plan

    def _again(self, plan: Plan) -> Plan:
        """A plan made anew since objects were lost.

        Raises:
            RunError: one of them was paid for, and nobody was asked whether to pay again.
        """
        found = replan(plan, self.cache, self._lost)
        if asked := found.spending().keys() - self.plan.spending().keys():
            raise RunError(f"what {listing(asked)} was paid for is lost; run again to ask for it anew")
        return found

    def _outline(self, plan: Plan, runs: dict[str, StepRun]) -> None:
        took = self._took(plan)
        outline = [
            NodeOutline(
                s.name,
                type(s.operator).op,
                s.status,
                s.device,
                1 if isinstance(s.kind, Whole) else None,
                took.get(s.name),
            )
            for s in plan.steps.values()
        ]
        self.observer.run_started(plan.graph.name, outline)
        for run in runs.values():
            if run.settled:
                for note in run.notes:
                    self.observer.note(run.name, note)
                self.observer.node_finished(run.name, "hit", 0.0)

    def _took(self, plan: Plan) -> dict[str, float]:
        """Seconds that nodes took when they were last computed, under this key or another."""
        found = {step.name: step.seconds for step in plan.steps.values() if step.seconds is not None}
        keys = {name: key for name, key in plan.last_keys.items() if name not in found and name in plan.steps}
        rows = self.cache.lookup_many(list(keys.values())) if keys else {}
        traces = {name: Trace.from_bytes(rows[key]) for name, key in keys.items() if key in rows}
        return found | {name: trace.seconds for name, trace in traces.items() if trace is not None}

    def _tell_settled(self, before: dict[str, StepRun]) -> None:
        """Say the end of steps that are hits by now and whose end the pass before did not come to."""
        for name, run in self.runs.items():
            if run.settled and not before[name].settled:
                self.observer.node_finished(name, "computed" if run.computed else "hit", run.seconds)

    def _pass(self, runs: dict[str, StepRun], crew: Crew) -> set[str]:
        """Run what is not settled; returns objects that were gone though a hit was to give them."""
        if all(run.settled for run in runs.values()):
            return set()
        ledger = Ledger(self.cache)
        expander = Expander(runs, self.options.chunk, self._probe)
        closing = Closing(ledger, self.observer, self._previews)
        scheduler = Scheduler(
            list(runs.values()), expander, closing.over, crew.resident, self.shelf, self._lost
        )
        specs, keep = self.plan.graph.models, self.options.keep
        desk = Desk(scheduler, ledger, crew, self.observer, self._cancelled, specs, keep)
        lanes = sorted({lane for run in runs.values() for lane in (run.step.device, *run.step.others)})
        try:
            with collector_paused():
                scheduler.start()
            require_room(runs, self.host, self.cache.root)
            if self.options.executor == "serial":
                run_serial(desk, lanes)
            else:
                run_threads(desk, lanes, self.options.workers)
        finally:
            self.peak_alive = max(self.peak_alive, scheduler.holding.peak_alive)
            self.cache.commit()
        if scheduler.gone:
            self.shelf.clear()
        return scheduler.gone

    def _remember(self, runs: dict[str, StepRun]) -> None:
        """Write down the keys: the next plan is one read, and `explain` can compare."""
        keys = {name: run.key for name, run in runs.items()}
        remember(self.cache, self.plan.row, self.plan.last_keys, keys)

    def _probe(self, run: StepRun) -> StreamInfo:
        step = run.step
        found = traced_probe(step, self.cache.lookup)
        if found is not None:
            info, notes = found
        else:
            context = self.host.context(step.name, step.device)
            info, notes = step.operator.probe(context), context.notes
            if step.kept:
                step.files.check()
                self.cache.record(probe_key(step), probe_row(info, notes), 0.0)
        run.note(notes)
        return info


@dataclass(slots=True)
class Closing:
    """What is done with a step when all its tasks are over: its outputs are put together, and it is said."""

    ledger: Ledger
    observer: Observer
    previews: PreviewMaker | None = None

    def over(self, run: StepRun) -> None:
        """All tasks of a step are over."""
        if not run.failed and not run.skipped:
            try:
                self.ledger.join(run)
            except ValueError as error:
                run.failed = f"{run.name}: {error}"
        if self.previews is not None and run.computed:
            self.previews.finish(run)
        for note in run.notes:
            self.observer.note(run.name, note)
        if run.failed:
            self.observer.node_finished(run.name, "failed", run.seconds, run.failed)
        elif run.skipped:
            self.observer.node_finished(run.name, "skipped", run.seconds)
        else:
            self.observer.node_finished(run.name, "computed" if run.computed else "hit", run.seconds)
