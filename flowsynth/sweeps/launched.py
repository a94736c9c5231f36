"""Jobs that one of Hydra's launchers runs: their rows are taken in as they end."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from flowsynth.core.errors import RunError, error_text
from flowsynth.core.record import JobRecord
from flowsynth.sweeps.job import Job
from flowsynth.sweeps.table import Rows
from flowsynth.sweeps.task import Task, failed_row

if TYPE_CHECKING:
    from flowsynth.config.hydra_multirun import Machinery

#: How often finished jobs are looked for, in seconds.
_EVERY = 0.2


@dataclass(slots=True)
class Launched:
    """Runs jobs by a launcher.

    Attributes:
        machinery: Hydra's.
        task: what the launcher calls.
        table: where rows go.
        ended: told of each job that is over.
    """

    machinery: Machinery
    task: Task
    table: Rows
    ended: Callable[[JobRecord, None], None]
    _seen: set[int] = field(default_factory=set)

    def run(self, jobs: Sequence[Job]) -> None:
        """Run jobs; one that fails leaves the others alone.

        Raises:
            RunError: the launcher failed, or nothing can be written any more; jobs that had ended are kept.
        """
        for job in jobs:
            if job.error is not None:
                self._take(failed_row(job, self.task.axes, str(job.error)))
        right = [job for job in jobs if job.error is None]
        if not right:
            return
        try:
            with self._taken_in():
                found = self.machinery.launch(self.task, [(job.number, job.overrides) for job in right])
        except RunError as error:
            for job in right:
                self._take(failed_row(job, self.task.axes, f"nothing came back: {error}"))
            raise
        for job, value in zip(right, found, strict=True):
            self._take(_row(value) or failed_row(job, self.task.axes, error_text(value)))

    def _take(self, row: JobRecord) -> None:
        if row.job not in self._seen:
            self._seen.add(row.job)
            self.table.add(row)
            self.ended(row, None)

    @contextmanager
    def _taken_in(self) -> Iterator[None]:
        """Rows go into the table while the launcher waits for the slowest job."""
        spool, over = self.task.spool, threading.Event()
        spool.mkdir(parents=True, exist_ok=True)
        taker = threading.Thread(target=self._watch, args=(spool, over), name="flowsynth-rows")
        taker.start()
        try:
            yield
        finally:
            over.set()
            taker.join()
            shutil.rmtree(spool, ignore_errors=True)

    def _watch(self, spool: Path, over: threading.Event) -> None:
        last = False
        while not last:
            last = over.wait(_EVERY)
            for file in sorted(spool.glob("[0-9]*.json")):
                row = _row(file.read_bytes())
                file.unlink()
                if row is not None:
                    self._take(row)


def _row(value: Any) -> JobRecord | None:
    if not isinstance(value, (str, bytes)):
        return None  # what the task raised
    try:
        return JobRecord.model_validate_json(value)
    except ValidationError:
        return None
