"""Which jobs run together: those with the same cache and options, and of these the ones that share most."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from flowsynth.api import Session
from flowsynth.api.declared import unused_models
from flowsynth.config import Settings
from flowsynth.core.collector import collector_paused
from flowsynth.core.errors import FlowsynthError
from flowsynth.core.graph import CoreGraph, Name
from flowsynth.core.options import RunOptions
from flowsynth.core.seeds import draw_seeds
from flowsynth.planning.moment import Moment
from flowsynth.planning.placement import inventory, place
from flowsynth.planning.plan import Plan
from flowsynth.sweeps.identity import Identities, near_each_other
from flowsynth.sweeps.job import Job
from flowsynth.sweeps.merge import Merged, Placed, merge
from flowsynth.sweeps.spread import spread

#: Jobs in one plan. Streams that they share are read once for all of them, and no more of a stream is alive
#: than so many tails have use for.
BATCH = 16


class Sessions:
    """One session for all jobs that agree on the cache, so that loaded models stay loaded.

    Args:
        make: opens one.
    """

    def __init__(self, make: Callable[[Settings], Session]) -> None:
        self._make = make
        self._open: dict[tuple[object, ...], Session] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Sessions:
        """Itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close all sessions."""
        self._stack.close()

    def of(self, settings: Settings) -> Session:
        """The session for a job; where its nodes run is no matter of the session."""
        workers = settings.ray if settings.executor == "ray" else None
        key = (settings.cache, settings.offline, workers)
        if key not in self._open:
            self._open[key] = self._stack.enter_context(self._make(settings))
        return self._open[key]

    def settle(self, say: Callable[[str], None]) -> None:
        """Wait, for a while, until what was made is copied to the places behind their caches."""
        for session in self._open.values():
            session.settle(say)

    def said(self) -> list[str]:
        """What the user should know of their caches."""
        return [text for session in self._open.values() for text in session.said()]


@dataclass(slots=True)
class Batch:
    """Jobs that run as one plan.

    Attributes:
        session: theirs.
        options: how to run them.
        jobs: the jobs.
        placed: the same, as they are merged.
        identities: which of their nodes are one.
        moment: what its plan shares with that of other batches, where none of them is run.
    """

    session: Session
    options: RunOptions
    jobs: list[Job]
    placed: list[Placed]
    identities: Identities
    moment: Moment | None = None

    def planned(self, outputs: Sequence[Name] | None) -> tuple[Merged, Plan] | None:
        """The plan of all jobs that can be planned; the others get their error. None where none can.

        Args:
            outputs: as for a run.
        """
        if not self.jobs:
            return None
        try:
            return self._together()
        except FlowsynthError as error:
            failed = [self._alone(job, outputs) for job in self.jobs]
            if not any(failed):  # together only, which no rule of ours can explain
                for job in self.jobs:
                    job.error = error
        kept = [index for index, job in enumerate(self.jobs) if job.error is None]
        self.placed = [self.placed[index] for index in kept]
        self.jobs = [self.jobs[index] for index in kept]
        return self.planned(outputs)

    def _together(self) -> tuple[Merged, Plan]:
        merged = merge(self.placed, self.identities)
        return merged, self._plan(merged.graph, merged.outputs)

    def _plan(self, graph: CoreGraph, outputs: Sequence[Name]) -> Plan:
        plan = self.session.plan(graph, outputs, self.moment)
        if self.session.fetch:  # a run follows
            self.session.require_writable(plan)
        return plan

    def _alone(self, job: Job, outputs: Sequence[Name] | None) -> bool:
        """Whether a job cannot be planned by itself either; its message names its own nodes."""
        try:
            self._plan(job.asked()[0], [str(edge) for edge in job.wanted(outputs)])
        except FlowsynthError as error:
            job.error = error
            return True
        return False


def batches(jobs: Sequence[Job], outputs: Sequence[Name] | None, sessions: Sessions) -> Iterator[Batch]:
    """Batches of jobs; those that cannot be run get their error and are in none.

    Args:
        jobs: all jobs of a sweep.
        outputs: what to deliver of each, as for a run.
        sessions: opens what they need.
    """
    groups: dict[tuple[int, RunOptions], list[Job]] = {}
    for job in jobs:
        if job.error is None and job.settings is not None:
            options = job.settings.run_options().model_copy(update={"device": "auto"})
            try:
                session = sessions.of(job.settings)
            except FlowsynthError as error:
                job.error = error
                continue
            groups.setdefault((id(session), options), []).append(job)
    for (_, options), members in groups.items():
        settings = members[0].asked()[1]
        yield from _batches(members, outputs, sessions.of(settings), options)


def _batches(
    jobs: Sequence[Job], outputs: Sequence[Name] | None, session: Session, options: RunOptions
) -> Iterator[Batch]:
    identities = Identities(lambda cls: session.source(cls).kept)
    found: list[tuple[Job, Placed]] = []
    with collector_paused():
        for job in jobs:
            merged = _placed(job, outputs, identities)
            found += [(job, merged)] if merged is not None else []
    moment = None if session.fetch else Moment()
    order = near_each_other([merged.numbers for _, merged in found])
    spread([found[index][1] for index in order], identities.sharers, inventory())
    for start in range(0, len(order), BATCH):
        members = [found[index] for index in order[start : start + BATCH]]
        yield Batch(session, options, [j for j, _ in members], [p for _, p in members], identities, moment)


def _placed(job: Job, outputs: Sequence[Name] | None, identities: Identities) -> Placed | None:
    """A job as it is merged: seeds drawn, nodes placed and numbered. None where it fails, which it holds."""
    graph, settings = job.asked()
    try:
        job.graph, drawn = draw_seeds(graph)
        job.notes += [*([drawn] if drawn else []), *unused_models(graph)]
        places = place(job.graph, settings.device, rules=settings.placement.rules)
        free = settings.device == "auto"
        wanted = tuple(job.graph.wanted(outputs))
        numbers = identities.of(job.number, job.graph, [edge.node for edge in wanted], places)
    except FlowsynthError as error:
        job.error = error
        return None
    return Placed(job.number, job.graph, wanted, places, numbers, free)
