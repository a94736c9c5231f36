"""Runs the batches of a sweep, and leaves of each job what a run of its own would."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from flowsynth.api import Run
from flowsynth.api.declared import unused_models
from flowsynth.api.execute import crew_of
from flowsynth.api.host import Host
from flowsynth.core.errors import FlowsynthError, RunError
from flowsynth.core.events import Observer
from flowsynth.core.graph import Name
from flowsynth.core.options import RunOptions
from flowsynth.core.record import JobRecord, RunRecord, TaskCounts
from flowsynth.executors.engine import Engine
from flowsynth.executors.ledger import remember
from flowsynth.planning.plan import Plan, last_keys, row_of
from flowsynth.sweeps.axes import pairs
from flowsynth.sweeps.batches import Batch, Sessions, batches
from flowsynth.sweeps.deliver import Deliverer
from flowsynth.sweeps.job import Job
from flowsynth.sweeps.merge import Merged
from flowsynth.sweeps.metrics import metrics
from flowsynth.sweeps.spend import refuse_costly
from flowsynth.sweeps.table import Rows
from flowsynth.sweeps.view import run_of


@dataclass(slots=True)
class Sweep:
    """A sweep to run.

    Attributes:
        table: where rows go; folders of jobs lie beside it.
        outputs: what to deliver of each job, as for a run.
        watch: shows a batch while it runs.
        ended: told of each job that is over, in the order of a batch: its row, and its run if it had one.
        debug: keep tracebacks in error messages.
    """

    table: Rows
    outputs: Sequence[Name] | None
    watch: Callable[[], AbstractContextManager[Observer]]
    ended: Callable[[JobRecord, Run | None], None]
    debug: bool = False
    _refused: set[int] = field(default_factory=set)

    def run(self, jobs: Sequence[Job], sessions: Sessions) -> None:
        """Run all jobs; one that fails leaves the others alone.

        Raises:
            RunError: nothing can be written any more.
        """
        refuse_costly(jobs, self.outputs)
        self._refuse(jobs)
        for batch in batches(jobs, self.outputs, sessions):
            members = list(batch.jobs)
            found = batch.planned(self.outputs)
            self._refuse(members)
            if found is not None:
                _Running(self, batch, *found).run()
        self._refuse(jobs)

    def _refuse(self, jobs: Sequence[Job]) -> None:
        """Say of jobs that they cannot be run."""
        for job in jobs:
            if job.error is not None and job.number not in self._refused:
                self._refused.add(job.number)
                row = self.row(job, "failed", errors=[str(job.error)])
                self.table.add(row)
                self.ended(row, None)

    def row(self, job: Job, status: Any, **more: Any) -> JobRecord:
        """A row of the table."""
        given = pairs(job.overrides)
        axes = {key: given.get(key) for key in self.table.axes}
        return JobRecord(
            job=job.number,
            overrides=list(job.overrides),
            axes=axes,
            status=status,
            folder=job.folder,
            **more,
        )


class _Running:
    """One batch while it runs."""

    def __init__(self, sweep: Sweep, batch: Batch, merged: Merged, plan: Plan) -> None:
        self.sweep, self.batch, self.merged, self.plan = sweep, batch, merged, plan
        self.began = time.perf_counter()
        self.ended: dict[int, tuple[JobRecord, Run | None]] = {}
        #: Node of the merged graph -> the job that it is counted for: of the lowest number.
        self.first: dict[str, int] = {}
        for index in sorted(range(len(batch.jobs)), key=lambda at: batch.jobs[at].number):
            for name in merged.names[index].values():
                self.first.setdefault(name, index)
        self.broken: RunError | None = None

    def run(self) -> None:
        """Run it, and tell what became of its jobs."""
        session = self.batch.session
        try:
            with session.running(), self.sweep.watch() as shown:
                with Deliverer(self.merged.names, self.deliver, shown) as observer:
                    options = session.own_options(_options(self.batch.options, self.sweep.debug))
                    host = Host(session, self.plan.graph.models)
                    crew = crew_of(session, self.plan, options)
                    self.engine = Engine(self.plan, session.cache, host, options, observer, crew=crew)
                    self.engine.run()
                self._remember()
                for index in range(len(self.batch.jobs)):
                    if index not in self.ended and self.broken is None:
                        self.deliver(index)  # an operator has ended the run: what it left says so
        finally:
            for index in sorted(self.ended, key=lambda at: self.batch.jobs[at].number):
                self.sweep.ended(*self.ended[index])
        if self.broken is not None:
            raise self.broken

    def deliver(self, index: int) -> None:
        """Write a job whose nodes are all over."""
        job, placed = self.batch.jobs[index], self.batch.placed[index]
        graph, _ = job.asked()
        names = self.merged.names[index]
        run = run_of(placed, graph, names, self.engine.runs, self.batch.session.cache, self.engine.shelf)
        run.seconds, run.facts = time.perf_counter() - self.began, self.batch.session.facts
        run.notes += [*job.notes, *unused_models(graph), *self.batch.session.notes]
        sharers = self.batch.identities.sharers
        run.shares = {name: sharers[number] for name, number in placed.numbers.items()}
        errors: list[str] = []
        try:
            run.write(self.sweep.table.path.parent / job.folder)
        except FlowsynthError as error:
            errors = [str(error)]
        try:
            row = self._row(index, job, run, errors)
            self.sweep.table.add(row)
            self.ended[index] = row, run
        except RunError as error:
            self.broken = error

    def _row(self, index: int, job: Job, run: Run, errors: list[str]) -> JobRecord:
        record = run.record
        nodes = record.nodes.values()
        return self.sweep.row(
            job,
            "failed" if errors else record.status,
            outputs=record.outputs,
            metrics=dict(metrics(run)),
            tasks=self._tasks(index, record),
            nodes=len(nodes),
            shared=sum(node.jobs > 1 for node in nodes),
            seconds=record.seconds,
            compute=sum(node.seconds / node.jobs for node in nodes),
            errors=[*record.errors, *errors],
        )

    def _tasks(self, index: int, record: RunRecord) -> TaskCounts:
        """Each task counts as computed for one job of those that need it, so that the table adds up."""
        counts = TaskCounts()
        for own, node in record.nodes.items():
            first = self.first[self.merged.names[index][own]] == index
            counts.hit += node.tasks.hit + (0 if first else node.tasks.computed)
            counts.computed += node.tasks.computed if first else 0
        return counts

    def _remember(self) -> None:
        """What `explain` compares a graph's next plan with: the keys of the last job here."""
        cache, names = self.batch.session.cache, self.merged.names[-1]
        row = row_of(self.batch.jobs[-1].asked()[0])
        keys = {own: self.engine.runs[merged].key for own, merged in names.items()}
        remember(cache, row, last_keys(cache.lookup(row)), keys)


def _options(options: RunOptions, debug: bool) -> RunOptions:
    return options.model_copy(update={"debug": debug})
