"""A sweep by Hydra's launchers and sweepers, each called as Hydra's own multirun calls it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, open_dict
from omegaconf.errors import OmegaConfBaseException

from flowsynth.config.doors import Doors
from flowsynth.config.hydra_loader import Loader, own_state, set_options
from flowsynth.config.hydra_overrides import hydra_version
from flowsynth.config.plugins import LAUNCHER, LAUNCHERS, OURS, SAMPLER, SWEEPER, SWEEPERS, Plugin
from flowsynth.core.errors import Fault, FlowsynthError, GraphError, RequestError, RunError

#: Jobs as overrides -> what each gave: figures, or why it failed.
Called = Callable[[Sequence[Sequence[str]]], Sequence[Any]]
#: How much of a plugin's own message is shown.
_SHOWN = 300


class Machinery:
    """Hydra's machinery, open for one sweep.

    Args:
        doors: the launcher and the sweeper, with their options.
        folder: where the sweep writes.
    """

    def __init__(self, doors: Doors, folder: Path) -> None:
        self._doors = doors
        self._packages = _packages(doors)
        self._loader = Loader(self._packages)
        self._context = HydraContext(self._loader, Callbacks())
        self._config = self._composed(folder)

    def _composed(self, folder: Path) -> DictConfig:
        """Hydra's part of the configuration; its own logs and copies of it are left out."""
        doors = self._doors
        lines = [f"{LAUNCHER}={doors.launcher}", f"{SWEEPER}={doors.sweeper}"]
        lines += [f"{SAMPLER}={doors.sampler}"] if doors.sampler else []
        lines += ["hydra/hydra_logging=none", "hydra/job_logging=none", "hydra.output_subdir=null"]
        config = self._loader.load_configuration(None, lines, RunMode.MULTIRUN)
        with open_dict(config):
            config.hydra.sweep.dir, config.hydra.sweep.subdir = str(folder).replace("${", r"\${"), "."
        for part, options in (("launcher", doors.launcher_options), ("sweeper", doors.sweeper_options)):
            for key, value in options.items():
                _set(config, part, key, value)
        return config

    def launcher(self, task: Callable[[Any], Any]) -> Launcher:
        """The launcher, which does nothing yet."""
        # The class's own method: a search has put another in its place.
        return Plugins.instantiate_launcher(Plugins.instance(), self._context, task, self._config)

    def launch(self, task: Callable[[Any], Any], jobs: Sequence[tuple[int, Sequence[str]]]) -> list[Any]:
        """Have the launcher run jobs.

        Args:
            task: what is called for each, in another process.
            jobs: number and overrides of each.

        Returns:
            What the task gave, or what it raised.

        Raises:
            RunError: the launcher itself failed.
        """
        with _named(f"{LAUNCHER}={self._doors.launcher}"):
            found = self.launcher(task).launch(
                [[str(number), *lines] for number, lines in jobs], initial_job_idx=jobs[0][0]
            )
        return [job._return_value for job in found]

    def search(self, lines: Sequence[str], call: Called) -> None:
        """Have the sweeper make jobs up, batch by batch, by what the ones before gave.

        Args:
            lines: the overrides of the sweep, in Hydra's own grammar.
            call: runs a batch.

        Raises:
            FlowsynthError: what a job failed with, where the sweeper stops at that.
            RunError: the sweeper itself failed.
        """
        plugins = Plugins.instance()
        plugins.instantiate_launcher = lambda **_: _Caller(call)
        with _imported(self._doors):
            sweeper = plugins.instantiate_sweeper(
                hydra_context=self._context, task_function=_nothing, config=self._config
            )
        with _named(f"{SWEEPER}={self._doors.sweeper}"):
            sweeper.sweep(list(lines))


def _set(config: DictConfig, part: str, key: str, value: Any) -> None:
    try:
        set_options(config.hydra[part], {key: value})
    except OmegaConfBaseException as error:
        reason = str(error).partition("\n")[0]
        fault = Fault(f"hydra.{part}.{key}", reason, "what the plugin takes", repr(value)[:80])
        raise GraphError([fault], "overrides") from None


class _Caller(Launcher):  # type: ignore[misc]
    """A launcher for sweepers, behind which jobs are run as the user chose."""

    def __init__(self, call: Called) -> None:
        self._call = call

    def setup(self, **_: Any) -> None:
        """Nothing to be set up."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Run a batch."""
        del initial_job_idx
        returns = []
        for overrides, value in zip(job_overrides, self._call(job_overrides), strict=True):
            status = JobStatus.FAILED if isinstance(value, BaseException) else JobStatus.COMPLETED
            returns.append(_Returned(overrides=overrides, status=status, _return_value=value))
        return returns


class _Returned(JobReturn):  # type: ignore[misc]
    """What a job gave; an error is raised without a line of Hydra's on the terminal."""

    @property
    def return_value(self) -> Any:
        """The figures.

        Raises:
            FlowsynthError: why there are none.
        """
        if self.status == JobStatus.FAILED:
            raise self._return_value
        return self._return_value


def _nothing(_config: Any) -> None:
    """Sweepers want a task; jobs go another way."""


@contextmanager
def machinery(doors: Doors, folder: Path) -> Iterator[Machinery]:
    """Hydra's machinery for one sweep.

    Raises:
        RequestError: a plugin is missing or broken, or an option is none that it takes.
    """
    require_plugins(doors)
    names = f"{LAUNCHER}={doors.launcher}, {SWEEPER}={doors.sweeper}"
    with ExitStack() as stack:
        stack.enter_context(hydra_version())
        with _imported(doors):
            stack.enter_context(own_state(_packages(doors)))
        try:
            made = Machinery(doors, folder)
        except (HydraException, OmegaConfBaseException) as error:
            raise RequestError(f"{names}: {_first(error)}") from None
        if doors.launcher != OURS:
            with _imported(doors):
                made.launcher(_nothing)
        yield made


def require_plugins(doors: Doors) -> None:
    """See that the plugins are there, importing none of them.

    Raises:
        RequestError: one is missing, or what it needs.
    """
    for group, name, plugin in _chosen(doors):
        if not plugin.is_installed:
            raise RequestError(f"{group}={name}: its plugin is not installed; expected {plugin.install}")
    if doors.launcher == "submitit_slurm" and shutil.which("sbatch") is None:
        raise RequestError(
            f"{LAUNCHER}=submitit_slurm: no sbatch on this machine; expected a login node of a Slurm "
            f"cluster, or {LAUNCHER}=submitit_local"
        )


@contextmanager
def _imported(doors: Doors) -> Iterator[None]:
    """Says of what a plugin raises when it is imported whose it is."""
    try:
        yield
    except FlowsynthError:
        raise
    except Exception as error:  # whatever a plugin raises that does not fit what else is installed
        raise broken_plugin(doors, error) from error


def broken_plugin(doors: Doors, error: BaseException) -> RequestError:
    """What to say where a plugin cannot be imported."""
    names = " or ".join(f"{group}={name}" for group, name, _ in _chosen(doors))
    pip = " && ".join(dict.fromkeys(plugin.install for _, _, plugin in _chosen(doors)))
    reason = f"{type(error).__name__}: {_first(error)}"
    return RequestError(f"{names}: the plugin cannot be used ({reason}); expected {pip}")


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Says of what a plugin raises whose it is."""
    try:
        yield
    except FlowsynthError:
        raise
    except Exception as error:  # whatever a plugin raises, and what it uses: a pool, a queue, a database
        kind = RequestError if isinstance(error, ImportError) else RunError
        raise kind(f"{name}: {type(error).__name__}: {_first(error)}") from error


def _first(error: BaseException) -> str:
    lines = [line.strip() for line in str(error.__cause__ or error).splitlines() if line.strip()]
    return " ".join(lines)[:_SHOWN] or "no message"


def _chosen(doors: Doors) -> list[tuple[str, str, Plugin]]:
    found = [(LAUNCHER, doors.launcher, LAUNCHERS), (SWEEPER, doors.sweeper, SWEEPERS)]
    return [(group, name, plugins[name]) for group, name, plugins in found if name != OURS]


def _packages(doors: Doors) -> list[str]:
    return [plugin.package for _, _, plugin in _chosen(doors)]
