"""From the overrides of a sweep to its jobs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flowsynth.config import Composer, sweep
from flowsynth.core.collector import collector_paused
from flowsynth.core.errors import Fault, GraphError, RequestError, listing
from flowsynth.sweeps.axes import axes_of
from flowsynth.sweeps.explicit import read_jobs
from flowsynth.sweeps.job import Job


def jobs_of(overrides: Sequence[str], command: Sequence[str] = (), explicit: Path | None = None) -> list[Job]:
    """All jobs that overrides come to; those that are not right hold their error.

    Args:
        overrides: in Hydra's grammar, several values a key.
        command: the command line, for records.
        explicit: a file whose every line holds more overrides: each with all values of the others.

    Raises:
        RequestError: the overrides cannot be read, or no job is right.
    """
    asked = _asked(overrides, explicit)
    composer = Composer(axes_of(asked))
    with collector_paused():
        jobs = [_composed(number, lines, composer, command) for number, lines in enumerate(asked)]
    right = [job for job in jobs if job.error is None]
    if not right:
        raise next(job.error for job in jobs if job.error is not None)
    _one_folder(right)
    return jobs


def _asked(overrides: Sequence[str], explicit: Path | None) -> list[list[str]]:
    if explicit is None:
        return sweep(overrides)
    jobs = [_line_jobs(overrides, line, f"{explicit}:{number}") for number, line in read_jobs(explicit)]
    return [job for found in jobs for job in found]


def _line_jobs(overrides: Sequence[str], line: Sequence[str], where: str) -> list[list[str]]:
    try:
        return sweep([*overrides, *line])
    except GraphError as error:
        raise GraphError(error.faults, where) from None


def _composed(number: int, overrides: list[str], composer: Composer, command: Sequence[str]) -> Job:
    job = Job(number, overrides)
    try:
        made = composer.compose(overrides)
    except RequestError as error:
        job.error = error
        return job
    made.graph.request.command = list(command)
    job.graph, job.settings = made.graph, made.settings
    return job


def _one_folder(jobs: Sequence[Job]) -> None:
    """See that all jobs go into one folder, which they share by their numbers.

    Raises:
        GraphError: they don't.
    """
    folders = {str(job.settings.output_dir) for job in jobs if job.settings is not None}
    if len(folders) > 1:
        expected = "one folder for the sweep, in which each job has one of its own"
        raise GraphError([Fault("output_dir", "several values", expected, listing(folders))], "--multirun")
