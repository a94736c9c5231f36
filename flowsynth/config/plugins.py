"""Hydra's launchers and sweepers that can be chosen, and the options of each; none is imported here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

LAUNCHER = "hydra/launcher"
SWEEPER = "hydra/sweeper"
SAMPLER = "hydra/sweeper/sampler"
#: Who runs jobs and makes them up where nobody else is chosen: our own merged sweep.
OURS = "basic"
#: An option that nobody has set.
UNSET = "???"


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin of Hydra's.

    Attributes:
        package: where its classes are.
        install: how to get it.
        options: what can be set of it; mappings may hold what is written here, or anything where empty.
    """

    package: str = ""
    install: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_installed(self) -> bool:
        """Whether its classes are there; they are not imported."""
        try:
            return find_spec(self.package) is not None
        except ImportError:  # hydra_plugins itself is missing
            return False


def _unset(*names: str) -> dict[str, Any]:
    return dict.fromkeys(names, UNSET)


_EXTRA = "pip install 'flowsynth-engine[hydra]'"
_QUEUE = _unset(
    "submitit_folder",
    "timeout_min",
    "cpus_per_task",
    "gpus_per_node",
    "tasks_per_node",
    "mem_gb",
    "nodes",
    "name",
    "stderr_to_stdout",
)
_SLURM = _unset(
    "partition",
    "qos",
    "comment",
    "constraint",
    "exclude",
    "gres",
    "cpus_per_gpu",
    "gpus_per_task",
    "mem_per_gpu",
    "mem_per_cpu",
    "account",
    "signal_delay_s",
    "max_num_timeout",
    "array_parallelism",
    "setup",
)
_RAY = {
    "init": {
        **_unset("address", "num_cpus", "num_gpus", "object_store_memory", "namespace"),
        "resources": {},
    },
    "remote": {**_unset("num_cpus", "num_gpus", "memory", "max_retries"), "resources": {}},
}

LAUNCHERS: dict[str, Plugin] = {
    OURS: Plugin(),
    "joblib": Plugin(
        "hydra_plugins.hydra_joblib_launcher",
        _EXTRA,
        _unset("n_jobs", "verbose", "timeout", "pre_dispatch", "batch_size", "temp_folder"),
    ),
    "submitit_local": Plugin("hydra_plugins.hydra_submitit_launcher", _EXTRA, _QUEUE),
    "submitit_slurm": Plugin(
        "hydra_plugins.hydra_submitit_launcher", _EXTRA, {**_QUEUE, **_SLURM, "additional_parameters": {}}
    ),
    "ray": Plugin(
        "hydra_plugins.hydra_ray_launcher",
        "pip install ray && pip install --no-deps hydra-ray-launcher==1.2.2",
        {"ray": _RAY},
    ),
}

SWEEPERS: dict[str, Plugin] = {
    OURS: Plugin(options={"params": {}}),
    "optuna": Plugin(
        "hydra_plugins.hydra_optuna_sweeper",
        _EXTRA,
        {
            **_unset("direction", "storage", "study_name", "n_trials", "n_jobs", "max_failure_rate"),
            "params": {},
        },
    ),
}

#: Optuna's ways to choose the next trial.
SAMPLERS: dict[str, dict[str, Any]] = {
    "tpe": _unset(
        "seed", "n_startup_trials", "n_ei_candidates", "multivariate", "prior_weight", "consider_endpoints"
    ),
    "random": _unset("seed"),
    "cmaes": _unset("seed", "sigma0", "inc_popsize", "use_separable_cma", "consider_pruned_trials"),
    "nsgaii": _unset("seed", "population_size", "mutation_prob", "crossover_prob", "swapping_prob"),
    "motpe": _unset("seed", "n_startup_trials", "n_ehvi_candidates", "consider_endpoints"),
    "grid": {},
}

#: Names that people know from Hydra's pages, and why they are none here.
REFUSED: dict[str, dict[str, str]] = {
    SWEEPER: {
        "ax": "hydra-ax-sweeper 1.2.0 cannot be imported beside any ax-platform of today",
        "nevergrad": "hydra-nevergrad-sweeper 1.2.0 needs numpy below 1.20, which no Python of today runs",
    },
    LAUNCHER: {
        "rq": "hydra-rq-launcher takes pickles from a Redis server, where anyone could put one",
        "ray_aws": "it rents machines and runs commands of a configuration; start a Ray cluster by itself",
    },
}
#: Options that are run by a shell: a file that somebody else wrote must not set them.
COMMANDS = ("setup", "additional_parameters")


def stubs() -> dict[str, dict[str, Any]]:
    """The part ``hydra`` of the configuration: what is honoured, by the names of Hydra's own groups."""
    found: dict[str, dict[str, Any]] = {
        "hydra/config": {
            "defaults": [{"launcher": OURS}, {"sweeper": OURS}, "_self_"],
            "run": {"dir": None},
            "sweep": {"dir": None, "subdir": None},
        }
    }
    found |= {f"{LAUNCHER}/{name}": dict(plugin.options) for name, plugin in LAUNCHERS.items()}
    found |= {f"{SWEEPER}/{name}": dict(plugin.options) for name, plugin in SWEEPERS.items()}
    found[f"{SWEEPER}/optuna"]["defaults"] = [{"sampler": "tpe"}, "_self_"]
    found |= {f"{SAMPLER}/{name}": dict(options) for name, options in SAMPLERS.items()}
    found |= {f"{group}/{name}": {} for group, names in REFUSED.items() for name in names}
    return found
