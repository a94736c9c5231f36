"""``flowsynth run --multirun`` with one of Hydra's launchers or sweepers."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from flowsynth.cli.jobs import open_session, output_folder
from flowsynth.cli.options import load_once
from flowsynth.cli.swept import Told, command_of, finish, merged, settled
from flowsynth.config.plugins import OURS
from flowsynth.core.errors import RequestError
from flowsynth.core.record import JobRecord
from flowsynth.sweeps.axes import axes_of
from flowsynth.sweeps.batches import Sessions
from flowsynth.sweeps.compose import composed, jobs_of
from flowsynth.sweeps.job import Job
from flowsynth.sweeps.launched import Launched
from flowsynth.sweeps.read import read_sweep
from flowsynth.sweeps.table import Table
from flowsynth.sweeps.task import Task

if TYPE_CHECKING:
    from flowsynth.config import Asked
    from flowsynth.config.hydra_multirun import Machinery

#: Where rows of jobs lie until they are in the table.
_SPOOL = ".flowsynth-jobs-"


def run_by_hydra(asked: Asked, args: argparse.Namespace) -> int:
    """Run a sweep as its launcher and its sweeper have it.

    Returns:
        0 if all went well.

    Raises:
        RequestError: anything wrong with it, before a job is run.
        RunError: some jobs failed; says which.
    """
    from flowsynth.config.hydra_multirun import require_plugins

    require_plugins(asked.doors)
    if asked.doors.sweeper == OURS:
        asked.require_no_objective()
        return _launch(asked, args)
    if args.jobs is not None:
        raise RequestError(
            f"--jobs: not used with hydra/sweeper={asked.doors.sweeper}, which makes its jobs up"
        )
    return _search(asked, args)


def _launch(asked: Asked, args: argparse.Namespace) -> int:
    """All jobs of the sweep at once, by the launcher."""
    from flowsynth.config.hydra_multirun import machinery

    jobs = jobs_of(asked, command_of(args), args.jobs)
    graph, settings = next(job for job in jobs if job.error is None).asked()
    with output_folder(settings, graph.name) as base, machinery(asked.doors, base) as hydra:
        table = Table(base, axes_of([job.overrides for job in jobs]))
        try:
            _launched(asked, hydra, table, args)(jobs)
        finally:
            table.close()
    return finish(table.record, base, args.json, settings)


def _search(asked: Asked, args: argparse.Namespace) -> int:
    """Jobs as the sweeper makes them up."""
    from flowsynth.config.asked import first_lines
    from flowsynth.config.hydra_multirun import machinery
    from flowsynth.config.hydra_optuna import search_lines, swept_keys
    from flowsynth.sweeps.objective import objective_of
    from flowsynth.sweeps.search import Search, study_of

    doors, command = asked.doors, command_of(args)
    lines = search_lines(asked.lines, doors.sampler == "grid")
    (first,) = composed([(0, first_lines(asked.lines))], asked, command)
    graph, settings = first.asked()
    told = doors.sweeper_options.get("direction")
    objective = objective_of(doors.objective, told, graph, args.outputs)
    study = study_of(doors, objective)
    with ExitStack() as stack:
        base = stack.enter_context(output_folder(settings, graph.name))
        hydra = stack.enter_context(machinery(study.doors, base))
        before = earlier(base) if study.there else []
        table = Table(base, dict.fromkeys(swept_keys(asked.lines), ()))
        try:
            for row in before:
                table.add(row)
            run = _runner(asked, hydra, table, args, stack)
            search = Search(
                asked, lines, objective, table, run, command, 1 + max((r.job for r in before), default=-1)
            )
            if study.left:
                search.by(hydra)
        finally:
            table.axes = axes_of([row.overrides for row in table.rows])
            table.close()
    for text in objective.told(table.record):
        print(text, file=sys.stderr)
    return finish(table.record, base, args.json, settings)


def earlier(folder: Path) -> list[JobRecord]:
    """The rows of the sweep that was in a folder, when a study is gone on with."""
    try:
        return read_sweep(folder)[0].jobs
    except RequestError:
        return []


def _runner(
    asked: Asked, hydra: Machinery, table: Table, args: argparse.Namespace, stack: ExitStack
) -> Callable[[Sequence[Job]], None]:
    """Who runs the jobs that a sweeper makes up: the launcher, or where none was chosen, we here."""
    if asked.doors.launcher != OURS:
        return _launched(asked, hydra, table, args)
    sessions = stack.enter_context(Sessions(open_session))
    stack.callback(settled, sessions)
    sweep = merged(table, args)
    return lambda jobs: sweep.run(jobs, sessions)


def _launched(
    asked: Asked, hydra: Machinery, table: Table, args: argparse.Namespace
) -> Callable[[Sequence[Job]], None]:
    """The launcher as who runs jobs."""
    folder, told = table.path.parent, Told(args.quiet, args.json, table.path.parent)
    for left in folder.glob(f"{_SPOOL}*"):
        shutil.rmtree(left, ignore_errors=True)
    task = Task(
        asked=asked,
        folder=folder,
        axes=tuple(table.axes),
        outputs=args.outputs,
        command=tuple(command_of(args)),
        debug=args.debug,
        prepare=partial(load_once, tuple(args.operators)),
        spool=folder / f"{_SPOOL}{os.getpid()}",
        cwd=Path.cwd(),
    )
    return Launched(hydra, task, table, told).run
