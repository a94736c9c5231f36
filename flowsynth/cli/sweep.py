"""``flowsynth run --multirun``: all jobs of a sweep, merged so that what they share is made once."""

from __future__ import annotations

import argparse

from flowsynth.cli.jobs import open_session, output_folder
from flowsynth.cli.swept import command_of, finish, merged, settled


def run_sweep(args: argparse.Namespace) -> int:
    """Run all jobs; a job that fails does not stop the others.

    Returns:
        0 if all went well.

    Raises:
        RequestError: the overrides cannot be read, no job's request is right, or nothing can be written to
            the output folder.
        RunError: some jobs failed; says which.
    """
    from flowsynth.config import asked_sweep
    from flowsynth.sweeps.axes import axes_of
    from flowsynth.sweeps.batches import Sessions
    from flowsynth.sweeps.compose import jobs_of
    from flowsynth.sweeps.table import Table

    asked = asked_sweep(args.overrides)
    if asked.doors.by_hydra:
        from flowsynth.cli.launch import run_by_hydra

        return run_by_hydra(asked, args)
    asked.require_no_objective()
    jobs = jobs_of(asked, command_of(args), args.jobs)
    graph, settings = next(job for job in jobs if job.error is None).asked()
    with output_folder(settings, graph.name) as base, Sessions(open_session) as sessions:
        table = Table(base, axes_of([job.overrides for job in jobs]))
        try:
            merged(table, args).run(jobs, sessions)
        finally:
            table.close()
        settled(sessions)
    return finish(table.record, base, args.json, settings)
