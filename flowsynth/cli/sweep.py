"""``flowsynth run --multirun``: all jobs of a sweep, merged so that what they share is made once."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flowsynth.cli.jobs import open_session, outcome, output_folder, shown
from flowsynth.cli.watch import watching
from flowsynth.core.errors import RunError

if TYPE_CHECKING:
    from flowsynth.api import Run
    from flowsynth.core.record import JobRecord, SweepRecord


def run_sweep(args: argparse.Namespace) -> int:
    """Run all jobs; a job that fails does not stop the others.

    Returns:
        0 if all went well.

    Raises:
        RequestError: the overrides cannot be read, no job's request is right, or nothing can be written to
            the output folder.
        RunError: some jobs failed; says which.
    """
    from flowsynth.sweeps.axes import axes_of
    from flowsynth.sweeps.batches import Sessions
    from flowsynth.sweeps.compose import jobs_of
    from flowsynth.sweeps.perform import Sweep
    from flowsynth.sweeps.table import Table

    jobs = jobs_of(args.overrides, ["flowsynth", *args.argv], args.jobs)
    graph, settings = next(job for job in jobs if job.error is None).asked()
    with output_folder(settings, graph.name) as base, Sessions(open_session) as sessions:
        table = Table(base, axes_of([job.overrides for job in jobs]))
        told = Told(args.quiet, args.json)
        sweep = Sweep(table, args.outputs, lambda: watching(args.quiet), told, args.debug)
        try:
            sweep.run(jobs, sessions)
            sessions.settle(lambda text: print(f"note: {text}", file=sys.stderr))
        finally:
            table.close()
        notes = sessions.said()
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    return _finish(table.record, base, args.json)


class Told:
    """Prints what became of jobs.

    Args:
        quiet: failures and results only.
        as_json: results come as JSON in the end.
    """

    def __init__(self, quiet: bool, as_json: bool) -> None:
        self._quiet, self._as_json = quiet, as_json

    def __call__(self, row: JobRecord, run: Run | None) -> None:
        """Print one job's."""
        if not self._quiet:
            print(f"[{row.job}] {' '.join(row.overrides)}", file=sys.stderr)
        for text in row.errors:
            print(f"flowsynth: [{row.job}] {text}", file=sys.stderr)
        if not self._as_json and run is not None:
            for line in outcome(run):
                print(f"[{row.job}] {line}")


def _finish(record: SweepRecord, base: Path, as_json: bool) -> int:
    failed = [str(row.job) for row in record.jobs if row.status == "failed"]
    if as_json:
        data = {**record.model_dump(mode="json"), "folder": str(base)}
        print(json.dumps(data, indent=2, ensure_ascii=False))
    else:
        print(shown(base / "sweep.json"))
    if failed:
        raise RunError(f"{len(failed)} of {len(record.jobs)} jobs failed: {', '.join(failed)}")
    return 0
