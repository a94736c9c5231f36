"""What sweeps share however they are run: the record's command line, and what is printed of jobs."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flowsynth.cli.jobs import outcome, shown
from flowsynth.cli.sinks.told import tell_of_jobs
from flowsynth.cli.watch import watching
from flowsynth.core.errors import RunError

if TYPE_CHECKING:
    from flowsynth.api import Run
    from flowsynth.config import Settings
    from flowsynth.core.record import JobRecord, SweepRecord
    from flowsynth.sweeps.batches import Sessions
    from flowsynth.sweeps.perform import Sweep
    from flowsynth.sweeps.table import Table


def merged(table: Table, args: argparse.Namespace) -> Sweep:
    """Who runs jobs as one plan, here and now."""
    from flowsynth.sweeps.perform import Sweep

    told = Told(args.quiet, args.json, table.path.parent)
    return Sweep(table, args.outputs, lambda: watching(args.quiet), told, args.debug)


def command_of(args: argparse.Namespace) -> list[str]:
    """The command line, for records."""
    return ["flowsynth", *args.argv]


def settled(sessions: Sessions) -> None:
    """Wait until what was made is copied to where others look for it; say what is to be said of caches."""
    sessions.settle(_note)
    for text in sessions.said():
        _note(text)


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


class Told:
    """Prints what became of jobs.

    Args:
        quiet: failures and results only.
        as_json: results come as JSON in the end.
        folder: of the sweep.
    """

    def __init__(self, quiet: bool, as_json: bool, folder: Path) -> None:
        self._quiet, self._as_json, self._folder = quiet, as_json, folder

    def __call__(self, row: JobRecord, run: Run | None) -> None:
        """Print one job's."""
        if not self._quiet:
            print(f"[{row.job}] {' '.join(row.overrides)}", file=sys.stderr)
        for text in row.errors:
            print(f"flowsynth: [{row.job}] {text}", file=sys.stderr)
        if not self._as_json:
            for line in outcome(run) if run is not None else self._outputs(row):
                print(f"[{row.job}] {line}")

    def _outputs(self, row: JobRecord) -> list[str]:
        """What to print of a job that ran in another process."""
        if row.status == "failed":
            return []
        folder = self._folder / row.folder
        files = [(name, value) for name, value in row.outputs.items() if _is_file(folder, value)]
        values = [f"{name} = {value}" for name, value in row.outputs.items() if not _is_file(folder, value)]
        return [*values, *(f"{name}: {shown(folder / str(value))}" for name, value in files)]


def _is_file(folder: Path, value: object) -> bool:
    return isinstance(value, str) and (folder / value).exists()


def finish(record: SweepRecord, base: Path, as_json: bool, settings: Settings) -> int:
    """Say what became of a sweep.

    Args:
        record: its table.
        base: its folder.
        as_json: print the table, not where it lies.
        settings: whether to write its page, and who else is told of it.

    Returns:
        0 if all went well.

    Raises:
        RunError: some jobs failed; says which.
    """
    if settings.report:
        from flowsynth.cli.report import add_report

        add_report(base, None)
    failed = [str(row.job) for row in record.jobs if row.status == "failed"]
    if as_json:
        data = {**record.model_dump(mode="json"), "folder": str(base)}
        print(json.dumps(data, indent=2, ensure_ascii=False))
    else:
        print(shown(base / "sweep.json"))
    tell_of_jobs(settings.record, record, base)
    if failed:
        raise RunError(f"{len(failed)} of {len(record.jobs)} jobs failed: {', '.join(failed)}")
    return 0
