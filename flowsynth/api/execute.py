"""From a plan to a run: the engine, with what it asks of a session."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flowsynth.api.host import Host
from flowsynth.api.run import Run
from flowsynth.api.session import Session
from flowsynth.core.errors import RequestError
from flowsynth.core.events import Observer
from flowsynth.core.options import RunOptions
from flowsynth.planning.plan import Plan

if TYPE_CHECKING:
    from flowsynth.executors.perform import Workplace
    from flowsynth.executors.seats import Crew


def execute(session: Session, plan: Plan, options: RunOptions, observer: Observer) -> Run:
    """Run what a plan found not to be in the cache."""
    from flowsynth.executors.engine import Engine

    options = session.own_options(options)
    host = Host(session, plan.graph.models)
    engine = Engine(plan, session.cache, host, options, observer, crew=crew_of(session, plan, options))
    run = Run(plan, engine.run(), session.cache, engine.shelf)
    run.peak_alive, run.facts = engine.peak_alive, session.facts
    return run


def crew_of(session: Session, plan: Plan, options: RunOptions) -> Callable[[Workplace], Crew] | None:
    """Who carries out a plan's orders; None for threads of this process.

    Raises:
        RequestError: workers of a cluster shall, and the session has none, or they cannot have the operators.
    """
    staff = session.staff
    if staff is None:
        if options.executor == "ray":
            raise RequestError("executor: 'ray' is a session's own; expected it to be given to Session")
        return None
    from flowsynth.api.station import open_station
    from flowsynth.executors.ray.crew import RayCrew
    from flowsynth.executors.ray.own import own_modules

    modules = own_modules(type(step.operator) for step in plan.steps.values())
    return lambda place: RayCrew(staff, place, modules, open_station)
