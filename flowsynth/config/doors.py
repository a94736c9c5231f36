"""The parts ``hydra`` and ``sweep`` of a configuration: who makes jobs up, who runs them, and where to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flowsynth.config.interpolation import Values
from flowsynth.config.plugins import (
    COMMANDS,
    LAUNCHER,
    LAUNCHERS,
    OURS,
    REFUSED,
    SAMPLER,
    SAMPLERS,
    SWEEPER,
    SWEEPERS,
    UNSET,
)
from flowsynth.config.unread import Written, leaves
from flowsynth.core.errors import Fault, GraphError, listing, nearest
from flowsynth.core.options import parse_folder

HYDRA, SWEEP = "hydra", "sweep"
#: What can be set below ``hydra`` besides the options of the chosen launcher and sweeper.
HONOURED = ("run.dir", "sweep.dir", "sweep.subdir", "launcher", "sweeper")
#: What people know from Hydra, and what there is here in its place.
INSTEAD = {
    "mode": "--multirun",
    "verbose": "--debug",
    "searchpath": "graphs/ and conf/ in the current folder, which come before the shipped ones",
    "output_subdir": "run.json in each output folder, which holds all of it",
    "job.chdir": "output_dir=PATH, or hydra.sweep.dir=PATH; paths are relative to the current folder",
    "job.name": "hydra.launcher.name=NAME of a submitit launcher",
    "job.num": "it read as ${hydra:job.num}; a sweep sets it",
    "job.id": "it read as ${hydra:job.id}; a sweep sets it",
    "job.override_dirname": "it read as ${hydra:job.override_dirname}; a sweep sets it",
    "job.env_set": "variables set before the command",
    "job.env_copy": "variables set before the command",
    "job_logging": "--quiet, or nothing: a run prints its progress to stderr",
    "hydra_logging": "--quiet, or nothing: a run prints its progress to stderr",
    "callbacks": "an operator, since nothing in a configuration runs code",
    "launcher._target_": "hydra/launcher=NAME",
    "sweeper._target_": "hydra/sweeper=NAME",
    "sweeper.custom_search_space": "hydra.sweeper.params, since nothing in a configuration runs code",
    "sweeper.search_space": "hydra.sweeper.params",
    "sweeper.max_batch_size": "nothing: a sweep forms its batches by what jobs share",
    "runtime": "it read as ${hydra:runtime.cwd} or ${hydra:runtime.choices.GROUP}",
}


@dataclass(frozen=True, slots=True)
class Doors:
    """How a sweep is made up and run.

    Attributes:
        launcher: who runs the jobs.
        launcher_options: what is set of it.
        sweeper: who makes them up.
        sweeper_options: what is set of it; a ``sampler`` is a mapping in it.
        sampler: Optuna's way to choose; an empty text with another sweeper.
        params: key -> its values as text, as if given on the command line.
        run_dir: where a single run writes.
        sweep_dir: where a sweep does.
        objective: names of metrics, for a sweeper that looks at them.
    """

    launcher: str = OURS
    launcher_options: Mapping[str, Any] = field(default_factory=dict)
    sweeper: str = OURS
    sweeper_options: Mapping[str, Any] = field(default_factory=dict)
    sampler: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    run_dir: Path | None = None
    sweep_dir: Path | None = None
    objective: tuple[str, ...] = ()

    @property
    def by_hydra(self) -> bool:
        """Whether Hydra's own machinery is needed."""
        return self.launcher != OURS or self.sweeper != OURS


def key_fault(key: str, given: str, where: str = "") -> Fault | None:
    """What is wrong with a key below ``hydra`` that is set; None where it is honoured.

    Args:
        key: without ``hydra.``; a group's name for a choice, such as ``launcher``.
        given: what is set.
        where: what stands before the key in messages.
    """
    at = f"{where}{HYDRA}.{key}"
    for known, instead in INSTEAD.items():
        if f"{key}.".startswith(f"{known}."):
            return Fault(at, "not used here", instead, given)
    if key in ("launcher", "sweeper"):
        return Fault(
            at, "chosen by its name", f"{HYDRA}/{key}=NAME, or its options {HYDRA}.{key}.KEY=VALUE", given
        )
    if any(f"{key}.".startswith(f"{honoured}.") for honoured in HONOURED):
        return None
    names = [f"{HYDRA}.{honoured}" for honoured in HONOURED]
    return Fault(at, "not used here", f"one of {listing(names)}", given, nearest(f"{HYDRA}.{key}", names))


def written_faults(
    written: Sequence[Written], tree: Mapping[str, Any], choices: Mapping[str, str | None]
) -> list[Fault]:
    """Everything wrong with what files set of Hydra, and with what is chosen of it.

    Args:
        written: what the user asked for.
        tree: what it came to below ``hydra``.
        choices: group -> what was chosen from it.
    """
    found = [
        _file_fault(item, path, value) for item in written for path, value in leaves(item.path, item.value)
    ]
    faults = [fault for fault in found if fault is not None]
    for group, plugins in ((LAUNCHER, LAUNCHERS), (SWEEPER, SWEEPERS)):
        name = choices.get(group) or OURS
        if name in REFUSED.get(group, {}):
            other = listing(f"{group}={known}" for known in plugins)
            faults.append(Fault(group, f"{name} is not supported: {REFUSED[group][name]}", f"one of {other}"))
    for part, plugin in _chosen(choices).items():
        faults += _unknown(tree[part], plugin, f"{HYDRA}.{part}")
    return faults


def _file_fault(item: Written, path: tuple[Any, ...], value: Any) -> Fault | None:
    """What is wrong with a value of a file; overrides were looked at when they were read."""
    if not item.where or path[0] != HYDRA:
        return None
    key = ".".join(map(str, path[1:]))
    if path[1:2] == ("launcher",) and path[2:3] and path[2] in COMMANDS:
        return Fault(
            f"{item.where}{HYDRA}.{key}",
            "a shell's commands",
            f"{HYDRA}.{key}=... on the command line",
            repr(value),
        )
    return key_fault(key, repr(value)[:80], item.where)


def _chosen(choices: Mapping[str, str | None]) -> dict[str, Mapping[str, Any]]:
    """The options that the chosen launcher and sweeper have."""
    launcher = LAUNCHERS.get(choices.get(LAUNCHER) or OURS)
    sweeper = SWEEPERS.get(choices.get(SWEEPER) or OURS)
    sampler = {"sampler": SAMPLERS.get(choices.get(SAMPLER) or "", {})}
    return {
        "launcher": launcher.options if launcher else {},
        "sweeper": {**(sweeper.options if sweeper else {}), **sampler},
    }


def _unknown(tree: Any, known: Mapping[str, Any], path: str) -> Iterator[Fault]:
    """Options that there are not, which a file may have set."""
    if not isinstance(tree, dict):
        yield Fault(path, "not a mapping", "KEY: VALUE", repr(tree)[:80])
        return
    for key, value in tree.items():
        if key not in known:
            expected = (
                f"one of {listing(known, 30)}"
                if known
                else f"a choice that has options, {HYDRA}/{path[6:]}=NAME"
            )
            yield Fault(f"{path}.{key}", "no such key", expected, repr(value)[:80], nearest(str(key), known))
        elif isinstance(known[key], dict) and known[key]:
            yield from _unknown(value, known[key], f"{path}.{key}")


def doors_of(values: Values, choices: Mapping[str, str | None]) -> tuple[Doors, str | None]:
    """How a sweep is made up and run, and the folder of this job in it, if it was said.

    Raises:
        GraphError: everything wrong with it.
    """
    tree, sweep = values.get(HYDRA) or {}, values.get(SWEEP) or {}
    if values.faults:
        raise GraphError(values.faults, "configuration")
    faults: list[Fault] = []
    launcher, sweeper = choices.get(LAUNCHER) or OURS, choices.get(SWEEPER) or OURS
    options = set_values(tree.get("sweeper") or {})
    made = Doors(
        launcher,
        set_values(tree.get("launcher") or {}),
        sweeper,
        {key: value for key, value in options.items() if key != "params"},
        (choices.get(SAMPLER) or "") if sweeper != OURS else "",
        dict(_params(options.get("params") or {}, faults)),
        _folder("run.dir", tree["run"]["dir"], faults),
        _folder("sweep.dir", tree["sweep"]["dir"], faults),
        tuple(_objective(sweep, faults)),
    )
    if faults:
        raise GraphError(faults, "configuration")
    return made, subdir_of(values)


def is_of_doors(path: tuple[Any, ...]) -> bool:
    """Whether a sweep as a whole depends on a value, and not a job only."""
    of_job = path[1:2] in ((), ("job",)) or path[1:] in (("sweep",), ("sweep", "subdir"))
    return path[0] == SWEEP or (path[0] == HYDRA and not of_job)


def subdir_of(values: Values) -> str | None:
    """The folder of a job in that of the sweep, if it was said.

    Raises:
        GraphError: it is somewhere else.
    """
    subdir = values.get(HYDRA, SWEEP, "subdir")
    if subdir is None or _is_below(str(subdir)):
        return None if subdir is None else str(subdir)
    expected = "a folder below that of the sweep, such as ${hydra:job.num}"
    fault = Fault("hydra.sweep.subdir", "not below the sweep's folder", expected, repr(subdir)[:80])
    raise GraphError([fault], "configuration")


def set_values(tree: Mapping[str, Any]) -> dict[str, Any]:
    """What is set of options, the others left out."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        kept = set_values(value) if isinstance(value, dict) else value
        if kept not in (UNSET, {}):
            found[str(key)] = kept
    return found


def _params(tree: Mapping[str, Any], faults: list[Fault], path: str = "") -> Iterator[tuple[str, str]]:
    """Key -> values; a key may be written with dots or as mappings in mappings."""
    for key, value in tree.items():
        name = f"{path}.{key}" if path else str(key)
        if isinstance(value, dict):
            yield from _params(value, faults, name)
        elif isinstance(value, list):
            expected = f"a text such as {','.join(map(str, value))}"
            faults.append(Fault(f"hydra.sweeper.params.{name}", "a list", expected, repr(value)[:80]))
        else:
            yield (
                name,
                "null" if value is None else str(value).lower() if value in (True, False) else str(value),
            )


def _objective(sweep: Mapping[str, Any], faults: list[Fault]) -> Iterator[str]:
    for key, value in sweep.items():
        if key != "objective":
            near = nearest(str(key), ["objective"])
            faults.append(Fault(f"sweep.{key}", "no such key", "sweep.objective", repr(value)[:80], near))
            continue
        for name in value if isinstance(value, list) else [] if value is None else [value]:
            if isinstance(name, str) and name.strip():
                yield name
            else:
                expected = "NODE.METRIC, such as figures.psnr, or a list of those"
                faults.append(Fault("sweep.objective", "no metric", expected, repr(name)[:80]))


def _folder(key: str, given: Any, faults: list[Fault]) -> Path | None:
    if given is None:
        return None
    try:
        if isinstance(given, (dict, list)):
            raise ValueError("expected one folder")
        return Path(parse_folder(str(given)))
    except ValueError as error:
        expected = str(error).removeprefix("expected ")
        faults.append(Fault(f"hydra.{key}", "no folder", expected, repr(given)[:80]))
        return None


def _is_below(subdir: str) -> bool:
    path = Path(subdir)
    return bool(subdir.strip()) and not path.is_absolute() and ".." not in path.parts and path.parts != ()
