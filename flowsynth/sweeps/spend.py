"""What all jobs of a sweep together would ask of hosted models, before any of them does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flowsynth.api import Session
from flowsynth.config import Settings
from flowsynth.core.errors import RequestError
from flowsynth.core.graph import Name
from flowsynth.core.spending import Spending, require_affordable, require_paid
from flowsynth.sweeps.batches import Sessions, batches
from flowsynth.sweeps.job import Job


def refuse_costly(jobs: Sequence[Job], outputs: Sequence[Name] | None) -> None:
    """Give jobs that would ask hosted models an error, where they may not.

    All of them together may cost no more than the least `max_cost` among them.

    Args:
        jobs: all jobs of a sweep.
        outputs: what to deliver of each, as for a run.
    """
    paying = [job for job in jobs if _pays(job)]
    if not paying:
        return
    copies = {job.number: replace(job, notes=[]) for job in paying}
    try:
        spent = _spent(list(copies.values()), outputs)
        for number, asked in spent.items():
            settings = copies[number].asked()[1]
            require_paid(asked, float("inf"), offline=settings.offline)
        each = [spending for asked in spent.values() for spending in asked.values()]
        require_affordable(each, min(job.asked()[1].max_cost for job in paying), "the sweep")
    except RequestError as error:
        for job in paying:
            job.error = job.error or error


def _pays(job: Job) -> bool:
    if job.error is not None or job.graph is None:
        return False
    return any(node.operator.spending() is not None for node in job.graph.nodes.values())


def _spent(jobs: Sequence[Job], outputs: Sequence[Name] | None) -> dict[int, dict[str, Spending]]:
    """Job -> node -> what it asks; what several jobs share counts for one of them."""

    def look(settings: Settings) -> Session:
        return Session.of(settings.run_options(), rules=settings.placement.rules, read_only=True)

    seen: set[tuple[int, int]] = set()
    found: dict[int, dict[str, Spending]] = {}
    with Sessions(look) as sessions:
        for batch in batches(jobs, outputs, sessions):
            planned = batch.planned(outputs)
            if planned is None:
                continue
            merged, plan = planned
            asked = plan.spending()
            for job, placed, names in zip(batch.jobs, batch.placed, merged.names, strict=True):
                for name, number in placed.numbers.items():
                    at = id(batch.identities), number
                    if names[name] in asked and at not in seen:
                        seen.add(at)
                        found.setdefault(job.number, {})[name] = asked[names[name]]
    return found
