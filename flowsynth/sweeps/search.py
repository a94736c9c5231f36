"""A sweep whose jobs are made up as it goes, by what the ones before gave: Optuna's studies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from flowsynth.config import Asked
from flowsynth.config.doors import Doors
from flowsynth.core.errors import Fault, GraphError, RequestError
from flowsynth.sweeps.compose import composed
from flowsynth.sweeps.job import Job
from flowsynth.sweeps.objective import Objective
from flowsynth.sweeps.table import Table

if TYPE_CHECKING:
    from flowsynth.config.hydra_multirun import Machinery

#: What the plugin does where nothing is said.
TRIALS = 20
_STORAGES = ("sqlite", "mysql", "postgresql")


@dataclass(slots=True)
class Search:
    """A study.

    Attributes:
        asked: the sweep.
        lines: its overrides, as the sweeper takes them.
        objective: what it goes by.
        table: where rows are.
        run: runs jobs and adds their rows.
        command: the command line, for records.
        first: the number of the next job.
    """

    asked: Asked
    lines: Sequence[str]
    objective: Objective
    table: Table
    run: Callable[[Sequence[Job]], None]
    command: Sequence[str]
    first: int = 0
    _by_number: dict[int, Any] = field(default_factory=dict)

    def by(self, machinery: Machinery) -> None:
        """Let the sweeper run it.

        Raises:
            FlowsynthError: more jobs failed than it was told to bear, or the sweeper itself failed.
        """
        machinery.search(self.lines, self._batch)

    def _batch(self, jobs: Sequence[Sequence[str]]) -> list[Any]:
        """Run a batch; the figures of each job, or why it has none."""
        numbered = [(self.first + i, list(lines)) for i, lines in enumerate(jobs)]
        self.first += len(jobs)
        self.run(composed(numbered, self.asked, self.command))
        rows = {row.job: row for row in self.table.rows}
        return [self.objective.of(rows[number]) for number, _ in numbered]


@dataclass(frozen=True, slots=True)
class Study:
    """What is known of a study before it begins.

    Attributes:
        doors: how it is made up: directions, and the trials that are left.
        left: how many those are.
        there: whether it was begun before.
    """

    doors: Doors
    left: int
    there: bool


def study_of(doors: Doors, objective: Objective) -> Study:
    """A study, gone on with where its storage has it: ``n_trials`` counts the trials that are done.

    Raises:
        RequestError: an option that cannot be, or a storage that cannot be read.
    """
    options = dict(doors.sweeper_options)
    _require_storage(options.get("storage"), options.get("study_name"))
    ways = objective.directions
    options["direction"] = ways[0] if len(ways) == 1 else list(ways)
    total = options.get("n_trials", TRIALS)
    if type(total) is not int or total < 1:
        fault = Fault("hydra.sweeper.n_trials", "no number of trials", "1 or more", repr(total))
        raise GraphError([fault], "overrides")
    done = _finished(doors, options, ways)
    options["n_trials"] = max(total - (done or 0), 0)
    return Study(replace(doors, sweeper_options=options), options["n_trials"], done is not None)


def _require_storage(storage: Any, name: Any) -> None:
    if storage is None:
        return
    scheme = str(storage).partition(":")[0].partition("+")[0]
    if scheme not in _STORAGES or "://" not in str(storage):
        expected = "a database such as sqlite:///study.db, mysql://... or postgresql://..."
        raise GraphError([Fault("hydra.sweeper.storage", "no storage", expected, repr(storage))], "overrides")
    if name is None:
        expected = "hydra.sweeper.study_name=NAME beside a storage, by which it is gone on with"
        raise GraphError([Fault("hydra.sweeper.study_name", "not set", expected)], "overrides")


def _finished(doors: Doors, options: dict[str, Any], directions: Sequence[str]) -> int | None:
    """How many trials of a stored study are done; None where there is no such study."""
    from flowsynth.config.hydra_multirun import broken_plugin

    try:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if options.get("storage") is None:
            return None
        study = optuna.load_study(study_name=str(options["study_name"]), storage=str(options["storage"]))
        trials = study.get_trials(deepcopy=False)
        known = [direction.name.lower() for direction in study.directions]
    except KeyError:
        return None
    except ImportError as error:
        raise broken_plugin(doors, error) from error
    except Exception as error:  # whatever a database and its driver raise
        reason = str(error).strip().partition("\n")[0][:200]
        raise RequestError(
            f"hydra.sweeper.storage: cannot be used ({type(error).__name__}: {reason}); expected a database "
            f"that can be written; given {options['storage']!r}"
        ) from None
    if known != list(directions):
        given = f"{', '.join(known)} in the study, {', '.join(directions)} here"
        fault = Fault(
            "hydra.sweeper.direction", "not those of the study", "another hydra.sweeper.study_name", given
        )
        raise GraphError([fault], "overrides")
    return len([trial for trial in trials if trial.state.name == "COMPLETE"])
