"""A job as a launcher runs it, in a process of its own: composed, run and written there."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowsynth.api import Session
from flowsynth.api.outputs import write_atomic
from flowsynth.config import Asked, Settings
from flowsynth.core.errors import FlowsynthError
from flowsynth.core.events import Observer
from flowsynth.core.record import JobRecord, json_text
from flowsynth.sweeps.axes import pairs
from flowsynth.sweeps.batches import Sessions
from flowsynth.sweeps.compose import composed
from flowsynth.sweeps.job import Job
from flowsynth.sweeps.perform import Sweep
from flowsynth.sweeps.table import Rows


@dataclass(frozen=True, slots=True)
class Task:
    """What a launcher calls for each job, pickled.

    Attributes:
        asked: the sweep.
        folder: of the sweep.
        axes: what differs between its jobs.
        outputs: what to deliver, as for a run.
        command: the command line, for records.
        debug: keep tracebacks in error messages.
        prepare: called first, in the process of the job: it loads a user's operators.
        spool: where the row of a job goes as soon as it is over.
        cwd: the folder that paths are relative to.
    """

    asked: Asked
    folder: Path
    axes: tuple[str, ...]
    outputs: Sequence[str] | None
    command: tuple[str, ...]
    debug: bool
    prepare: Callable[[], None]
    spool: Path
    cwd: Path

    def __call__(self, config: Any) -> str:
        """Run the job that a config names; its row as JSON."""
        from flowsynth.config.hydra_loader import job_of

        number, lines = job_of(config)
        rows = Rows(self.folder, {axis: [] for axis in self.axes})
        sweep = Sweep(rows, self.outputs, lambda: nullcontext(Observer()), lambda *_: None, self.debug)
        try:
            os.chdir(self.cwd)
            self.prepare()
            (job,) = composed([(number, lines)], self.asked, self.command)
            with Sessions(session_of) as sessions:
                sweep.run([job], sessions)
                sessions.settle(lambda _: None)
            row = rows.rows[0]
        except (FlowsynthError, OSError) as error:
            row = failed_row(Job(number, lines), self.axes, str(error))
        told = json_text(row)
        if self.spool.is_dir():
            write_atomic(self.spool / f"{number}.json", told.encode())
        return told


def session_of(settings: Settings) -> Session:
    """The session that the settings ask for."""
    return Session.of(settings.run_options(), rules=settings.placement.rules)


def failed_row(job: Job, axes: Sequence[str], error: str) -> JobRecord:
    """The row of a job that was not run to its end."""
    given = pairs(job.overrides)
    found = {key: given.get(key) for key in axes}
    overrides = list(job.overrides)
    return JobRecord(
        job=job.number, overrides=overrides, axes=found, status="failed", folder=job.folder, errors=[error]
    )
