"""From the overrides of a sweep to its jobs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flowsynth.config import Asked, Composer, asked_sweep, sweep
from flowsynth.core.collector import collector_paused
from flowsynth.core.errors import Fault, GraphError, RequestError, listing
from flowsynth.sweeps.axes import axes_of
from flowsynth.sweeps.explicit import read_jobs
from flowsynth.sweeps.job import Job


def jobs_of(
    asked: Asked | Sequence[str], command: Sequence[str] = (), explicit: Path | None = None
) -> list[Job]:
    """All jobs that a sweep comes to; those that are not right hold their error.

    Args:
        asked: the sweep, or its overrides in Hydra's grammar, several values a key.
        command: the command line, for records.
        explicit: a file whose every line holds more overrides: each with all values of the others.

    Raises:
        RequestError: the overrides cannot be read, or no job is right.
    """
    if not isinstance(asked, Asked):
        asked = asked_sweep(asked)
    jobs = composed(list(enumerate(_lines(asked.lines, explicit))), asked, command)
    right = [job for job in jobs if job.error is None]
    if not right:
        raise next(job.error for job in jobs if job.error is not None)
    _one_folder(right)
    return jobs


def composed(numbered: Sequence[tuple[int, list[str]]], asked: Asked, command: Sequence[str]) -> list[Job]:
    """The jobs of overrides; those that are not right hold their error.

    Args:
        numbered: a job's number, and its overrides.
        asked: the sweep.
        command: the command line, for records.

    Raises:
        GraphError: jobs that would be made up or run in different ways, or share a folder.
    """
    composer = Composer(axes_of([lines for _, lines in numbered]), runtime=asked.runtime)
    with collector_paused():
        jobs = [_composed(number, lines, composer, asked, command) for number, lines in numbered]
    for job in jobs:
        if job.doors not in (None, asked.written):
            raise _other_doors(job)
    _folders_of_their_own([job for job in jobs if job.error is None])
    return jobs


def _lines(overrides: Sequence[str], explicit: Path | None) -> list[list[str]]:
    if explicit is None:
        return sweep(overrides)
    jobs = [_line_jobs(overrides, line, f"{explicit}:{number}") for number, line in read_jobs(explicit)]
    return [job for found in jobs for job in found]


def _line_jobs(overrides: Sequence[str], line: Sequence[str], where: str) -> list[list[str]]:
    try:
        return sweep([*overrides, *line])
    except GraphError as error:
        raise GraphError(error.faults, where) from None


def _composed(
    number: int, overrides: list[str], composer: Composer, asked: Asked, command: Sequence[str]
) -> Job:
    job = Job(number, overrides)
    try:
        made = composer.compose([*overrides, *asked.of_jobs], number)
        job.graph, job.settings, job.subdir = made.graph, asked.into(made.settings), made.subdir
        job.doors = made.doors
    except RequestError as error:
        job.error = error
        return job
    made.graph.request.overrides = list(overrides)
    made.graph.request.command = list(command)
    return job


def _other_doors(job: Job) -> GraphError:
    """What to say of a job whose files would have the sweep made up or run in another way."""
    expected = "the same `hydra` and `sweep` in all jobs: they are of the sweep as a whole"
    return GraphError([Fault("hydra", "differs between jobs", expected, f"job {job.number}")], "--multirun")


def _one_folder(jobs: Sequence[Job]) -> None:
    """See that all jobs go into one folder, in which each has one of its own.

    Raises:
        GraphError: they don't.
    """
    folders = {str(job.settings.output_dir) for job in jobs if job.settings is not None}
    if len(folders) > 1:
        expected = "one folder for the sweep, in which each job has one of its own"
        raise GraphError([Fault("output_dir", "several values", expected, listing(folders))], "--multirun")


def _folders_of_their_own(jobs: Sequence[Job]) -> None:
    """See that no two jobs write to one folder.

    Raises:
        GraphError: some do.
    """
    seen: dict[str, int] = {}
    for job in jobs:
        other = seen.setdefault(job.folder, job.number)
        if other != job.number:
            expected = "a folder a job: ${hydra:job.num} in it, or all axes"
            given = f"jobs {other} and {job.number} in {job.folder}"
            fault = Fault("hydra.sweep.subdir", "several jobs in one folder", expected, given)
            raise GraphError([fault], "--multirun")
