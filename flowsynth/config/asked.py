"""A sweep as it is asked for: who makes its jobs up and runs them, and the overrides that come to jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flowsynth.config.composition import LOCK, compose_raw, written_to
from flowsynth.config.doors import Doors, doors_of
from flowsynth.config.folders import search_path
from flowsynth.config.runtime import Runtime, is_door
from flowsynth.config.settings import Settings, parse_settings
from flowsynth.core.errors import Fault, GraphError, RequestError

_SUBDIR = "hydra.sweep.subdir="


@dataclass(frozen=True, slots=True)
class Asked:
    """A sweep.

    Attributes:
        lines: overrides, with several values a key.
        doors: how it is made up and run.
        typed: overrides that say so, as typed; what files say of it is in every job too.
        runtime: when and where it was asked for.
        written: what files alone say of how it is made up and run.
        output_dir: where it writes, if that was said.
    """

    lines: tuple[str, ...]
    doors: Doors
    typed: tuple[str, ...]
    runtime: Runtime
    written: Doors
    output_dir: Path | None = None

    @property
    def of_jobs(self) -> list[str]:
        """What of the overrides for the sweep as a whole each job has to know."""
        return _of_jobs(self.typed)

    def require_no_objective(self) -> None:
        """See that nobody typed what only a sweeper that looks at results has a use for.

        Raises:
            GraphError: somebody did.
        """
        typed = [line for line in self.typed if line.lstrip("+").startswith("sweep.")]
        if typed:
            fault = Fault("sweep.objective", "not used", "hydra/sweeper=optuna beside it", repr(typed[0]))
            raise GraphError([fault], "overrides")

    def into(self, settings: Settings) -> Settings:
        """A job's settings, with the sweep's folder.

        Raises:
            GraphError: the job names another one.
        """
        return written_to(settings, self.doors.sweep_dir, "hydra.sweep.dir")


def asked_sweep(overrides: Sequence[str], cwd: Path | None = None) -> Asked:
    """Sort the overrides of a sweep.

    Args:
        overrides: in Hydra's grammar, several values a key, and what says how jobs are made up and run.
        cwd: the folder whose ``graphs/`` and ``conf/`` come before the shipped ones; the current one if None.

    Raises:
        RequestError: an override that cannot be read, or anything wrong with what is said of the sweep.
    """
    typed = tuple(line for line in overrides if is_door(line))
    lines = tuple(line for line in overrides if not is_door(line))
    for line in typed:
        if line.lstrip("+").startswith("hydra.run.dir="):
            fault = Fault("hydra.run.dir", "not used by a sweep", "hydra.sweep.dir=PATH", repr(line))
            raise GraphError([fault], "overrides")
    runtime = Runtime(sweeping=True)
    try:
        first = first_lines(lines, cwd)
        doors, folder = _doors([*first, *typed], cwd, runtime)
        told = _of_jobs(typed)
        written = doors if told == list(typed) else _doors([*first, *told], cwd, runtime)[0]
    except RequestError:
        if typed or any(line.lstrip("+~").startswith("experiment") for line in lines):
            raise
        # The first job will say what is wrong with it, the others may be right.
        doors, written, folder = Doors(), Doors(), None
    params = tuple(f"{key}={value}" for key, value in doors.params.items())
    return Asked((*params, *lines), doors, typed, runtime, written, folder)


def first_lines(lines: Sequence[str], cwd: Path | None = None) -> list[str]:
    """The overrides of a first job.

    Raises:
        GraphError: an override that cannot be read.
    """
    from flowsynth.config.hydra_compose import Repository
    from flowsynth.config.hydra_overrides import hydra_version, parse_overrides
    from flowsynth.config.hydra_sweep import first_of

    with LOCK, hydra_version():
        options = Repository(search_path(cwd))
        return first_of(parse_overrides(lines, sweeping=True, options=options, counted=False))


def _of_jobs(typed: Sequence[str]) -> list[str]:
    return [line for line in typed if line.lstrip("+").startswith(_SUBDIR)]


def _doors(lines: Sequence[str], cwd: Path | None, runtime: Runtime) -> tuple[Doors, Path | None]:
    with LOCK:
        composed, values = compose_raw(lines, cwd, replace(runtime, number=0))
        doors, _ = doors_of(values, composed.choices)
        folder = parse_settings({"output_dir": values.get("output_dir")}).output_dir
    if values.faults:
        raise GraphError(values.faults, "configuration")
    return doors, folder
