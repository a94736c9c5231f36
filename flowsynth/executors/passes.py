"""The steps of one pass of a run.

A run is one pass, but for one case: an object that a planned hit was to give turns out to be gone or damaged.
Then the pass ends, the plan is made anew with that object counted as missing, and the next pass finds what
was finished as hits.
"""

from __future__ import annotations

from flowsynth.executors.tasks import StepRun
from flowsynth.planning.plan import Plan


def first_runs(plan: Plan) -> dict[str, StepRun]:
    """The steps of the first pass; hits are settled."""
    runs: dict[str, StepRun] = {}
    for name, step in plan.steps.items():
        runs[name] = run = StepRun(step, runs, key=step.key, notes=[*step.notes, *step.said])
        if step.status == "hit":
            run.outputs, run.settled = step.outputs, True
            run.clock.save(step.seconds or 0.0)
    return runs


def next_runs(plan: Plan, before: dict[str, StepRun]) -> dict[str, StepRun]:
    """The steps of another pass.

    Args:
        plan: made anew.
        before: the steps of the pass that ended.
    """
    runs = first_runs(plan)
    for name, run in runs.items():
        old = before[name]
        run.notes, run.waited, run.seconds = old.notes, old.waited, old.seconds
        run.devices = old.devices
        if old.devices or not run.settled:  # else it is a hit as planned, and has a clock of its own
            run.clock = old.clock
        run.made = old.made | {task.key for task in old.tasks if task.status == "computed"}
        if old.failed or old.skipped:
            run.failed, run.exit_code, run.skipped, run.cut = old.failed, old.exit_code, old.skipped, old.cut
            run.outputs, run.settled = old.outputs, old.settled
            run.hits, run.computed = old.hits, old.computed
        elif run.settled:
            run.hits, run.computed, run.expanded = old.hits, old.computed, old.expanded
    return runs
