"""What a sweep would do: which nodes are shared, which are in the cache, and what the rest would cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flowsynth.core.graph import Name
from flowsynth.core.record import JobPlan, NodesPlan, SweepPlanRecord
from flowsynth.core.refs import Trace
from flowsynth.core.spending import Spending
from flowsynth.planning.plan import Plan, last_keys, row_of
from flowsynth.sweeps.axes import axes_of
from flowsynth.sweeps.batches import Batch, Sessions, batches
from flowsynth.sweeps.job import Job
from flowsynth.sweeps.merge import Merged


@dataclass(slots=True)
class Forecast:
    """Sums up plans of batches. A node that several batches have counts once.

    Attributes:
        nodes: own name -> what is known of the nodes of that name.
        jobs: the jobs.
    """

    nodes: dict[str, NodesPlan] = field(default_factory=dict)
    jobs: list[JobPlan] = field(default_factory=list)
    _seen: set[tuple[int, int]] = field(default_factory=set)
    _known: dict[str, list[float]] = field(default_factory=dict)

    def add(self, batch: Batch, merged: Merged, plan: Plan) -> None:
        """Count the nodes of a batch."""
        for job, placed, names in zip(batch.jobs, batch.placed, merged.names, strict=True):
            hits = 0
            for name, number in placed.numbers.items():
                step = plan.steps[names[name]]
                hits += step.status == "hit"
                at = id(batch.identities), number
                if at not in self._seen:
                    self._seen.add(at)
                    self._count(name, type(step.operator).op, step.status, step.seconds)
                    self._spend(name, step.operator.spending() if step.executes else None)
                self.nodes[name].jobs += 1
            self.jobs.append(
                JobPlan(job=job.number, overrides=list(job.overrides), nodes=len(names), hits=hits)
            )

    def _count(self, name: str, op: str, status: str, seconds: float | None) -> None:
        found = self.nodes.setdefault(name, NodesPlan(op=op))
        found.nodes += 1
        found.hits += status == "hit"
        found.unknown += status == "unknown"
        if seconds is not None:
            self._known.setdefault(name, []).append(seconds)

    def _spend(self, name: str, asked: Spending | None) -> None:
        if asked is not None:
            self.nodes[name].requests += asked.requests
            self.nodes[name].cost += asked.total

    def estimate(self, before: Mapping[str, float]) -> None:
        """What the nodes that are no hits cost, as those of the same name did.

        Args:
            before: node -> seconds that it took when its graph was last run.
        """
        for name, found in self.nodes.items():
            known = self._known.get(name) or ([before[name]] if name in before else [])
            if known:
                found.seconds = (found.nodes - found.hits) * sum(known) / len(known)
            elif found.nodes == found.hits:
                found.seconds = 0.0


def forecast(jobs: Sequence[Job], outputs: Sequence[Name] | None, sessions: Sessions) -> SweepPlanRecord:
    """Plan all jobs, batch by batch; nothing is run or written.

    Args:
        jobs: the jobs of a sweep.
        outputs: as for a run.
        sessions: opens sessions that only look.
    """
    found = Forecast()
    before: dict[str, float] = {}
    for batch in batches(jobs, outputs, sessions):
        planned = batch.planned(outputs)
        if planned is not None:
            before = before or _last_seconds(batch)
            found.add(batch, *planned)
    found.estimate(before)
    failed = [
        JobPlan(job=job.number, overrides=list(job.overrides), error=str(job.error))
        for job in jobs
        if job.error is not None
    ]
    return SweepPlanRecord(
        axes=axes_of([job.overrides for job in jobs]),
        nodes=found.nodes,
        jobs=sorted([*found.jobs, *failed], key=lambda plan: plan.job),
    )


def _last_seconds(batch: Batch) -> dict[str, float]:
    """Node -> what it took when the graph of the first job was last run, whatever of it was run then."""
    keys = last_keys(batch.session.lookup(row_of(batch.jobs[0].asked()[0])))
    rows = batch.session.lookup_many(list(keys.values()))
    traces = {name: Trace.from_bytes(rows[key]) for name, key in keys.items() if key in rows}
    return {name: trace.seconds for name, trace in traces.items() if trace is not None}
