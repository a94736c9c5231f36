"""Composition in one call: re-entrant, and with Hydra imported only when it is made."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.config.doors import SWEEP, Doors, doors_of, set_values, written_faults
from flowsynth.config.folders import graph_names, search_path
from flowsynth.config.interpolation import Values
from flowsynth.config.remembered import name_of, recalled, remember
from flowsynth.config.runtime import Runtime, is_door
from flowsynth.config.settings import Settings, parse_settings
from flowsynth.core.errors import Fault, GraphError, listing, nearest
from flowsynth.core.record import Request

if TYPE_CHECKING:
    from flowsynth.config.hydra_compose import Composed

# Hydra keeps its version behaviour in one object a process: one composition at a time.
LOCK = threading.RLock()
#: What Hydra's folders are where the other kind of run is asked for.
_NOWHERE = {"dir": None, "subdir": None}


@dataclass(frozen=True, slots=True)
class Composition:
    """What names, files and overrides come to.

    Attributes:
        graph: the graph as plain values, with nothing left to resolve.
        settings: what the run is told besides.
        values: the rest of the configuration (prompt, input, model, ...).
        overrides: what was asked for, as typed.
        experiments: the experiments among it, by name.
        doors: how a sweep of it is made up and run.
        subdir: this job's folder in that of the sweep, if it was said.
    """

    graph: dict[str, Any]
    settings: Settings
    values: dict[str, Any]
    overrides: tuple[str, ...]
    experiments: tuple[str, ...] = ()
    doors: Doors = field(default_factory=Doors)
    subdir: str | None = None

    def request(self) -> Request:
        """What records say of it."""
        return Request(overrides=list(self.overrides), experiments=list(self.experiments))


def compose_request(
    overrides: Sequence[str] = (),
    cwd: Path | None = None,
    runtime: Runtime | None = None,
    *,
    recall: bool = False,
    keep: bool = False,
) -> Composition:
    """Compose the configuration that overrides ask for.

    Args:
        overrides: in Hydra's grammar: ``graph=toon``, ``prompt=...``, ``graph.nodes.N.params.P=V``.
        cwd: the folder whose ``graphs/`` and ``conf/`` come before the shipped ones; the current one if None.
        runtime: what ``${now:...}`` and ``${hydra:...}`` say; now, and of a run by itself, if None.
        recall: take what an equal request came to, if that is kept.
        keep: keep what it comes to.

    Raises:
        RequestError: anything wrong with the files or the overrides, and what in them acts on nothing.
    """
    name = name_of(overrides, search_path(cwd)) if recall or keep else None
    found = recalled(name) if name is not None and recall else None
    if found is not None:
        return Composition(
            found["graph"],
            parse_settings(found["values"]),
            found["values"],
            tuple(overrides),
            tuple(found["experiments"]),
        )
    made, values = compose_parts(overrides, cwd, runtime)
    if name is not None and keep and not (values.foreign or values.environment):
        parts = {"graph": made.graph, "values": made.values, "experiments": [*made.experiments]}
        if name == name_of(overrides, search_path(cwd)):  # nobody changed a file meanwhile
            remember(name, parts)
    return made


def compose_parts(
    overrides: Sequence[str], cwd: Path | None = None, runtime: Runtime | None = None
) -> tuple[Composition, Values]:
    """The composition, and how its values were worked out.

    Raises:
        RequestError: as `compose_request`.
    """
    from flowsynth.config.resolve import resolved
    from flowsynth.config.unread import unread_faults

    runtime = runtime or Runtime()
    with LOCK:
        composed, worked_out = compose_raw(overrides, cwd, runtime)
        values, reads = resolved(worked_out)
        doors, subdir = doors_of(worked_out, composed.choices)
    graph = values.pop("graph", None)
    if not isinstance(graph, dict):
        expected = f"a mapping, from graph=NAME with one of {listing(graph_names(cwd))}"
        raise GraphError([Fault("graph", "not a graph", expected, repr(graph)[:80])], "configuration")
    name = str(graph.get("name", "graph"))
    if faults := unread_faults(composed.written, reads, composed.mentions, name):
        raise GraphError(faults, "configuration")
    settings = parse_settings(values)
    if not runtime.sweeping:
        settings = written_to(settings, doors.run_dir, "hydra.run.dir")
    kept = {key: value for key, value in values.items() if key not in ("hydra", SWEEP)}
    if settings.output_dir is not None:
        kept["output_dir"] = str(settings.output_dir)  # whichever key named it
    made = Composition(graph, settings, kept, tuple(overrides), composed.experiments, doors, subdir)
    return made, worked_out


def compose_raw(overrides: Sequence[str], cwd: Path | None, runtime: Runtime) -> tuple[Composed, Values]:
    """What files and overrides come to, before anything is worked out.

    Raises:
        RequestError: as `compose_request`.
    """
    from flowsynth.config.hydra_compose import compose_config

    composed = compose_config(overrides, search_path(cwd))
    faults = written_faults(composed.written, composed.values["hydra"], composed.choices)
    if not runtime.sweeping:
        faults += [_of_sweeps(line) for line in overrides if is_door(line) and "hydra.run.dir=" not in line]
    if faults:
        raise GraphError(faults, "configuration")
    tree = {**composed.values["hydra"], **runtime.tree(overrides, composed.choices, cwd or Path.cwd())}
    unused = {"run": _NOWHERE} if runtime.sweeping else {"sweep": _NOWHERE, "launcher": {}, "sweeper": {}}
    return composed, Values({**composed.values, "hydra": {**tree, **unused}}, now=runtime.now)


def composed_values(
    overrides: Sequence[str], cwd: Path | None = None, resolve: bool = False
) -> dict[str, Any]:
    """The composed configuration as plain values, for people to look at; nothing of its graph is checked.

    Args:
        overrides: as for `compose_request`.
        cwd: as for `compose_request`.
        resolve: whether interpolations are replaced.

    Raises:
        RequestError: anything wrong with the files, the overrides, or interpolations to be replaced.
    """
    with LOCK:
        composed, values = compose_raw(overrides, cwd, Runtime())
        doors_of(values, composed.choices)
        told = {**composed.values, "hydra": {**values.raw["hydra"], **composed.values["hydra"]}}
        if resolve:  # as a job would have it, so that what is for sweeps can be looked at too
            told["hydra"]["job"] = Runtime(number=0).job(overrides)
            values = Values(told, now=values.now)
        plain = {str(key): values.get(key) if resolve else value for key, value in told.items()}
    if values.faults:
        raise GraphError(values.faults, "configuration")
    hydra = set_values(plain.pop("hydra"))
    return {**plain, "hydra": hydra}


@dataclass(frozen=True, slots=True)
class Origins:
    """Where a configuration's values were written.

    Attributes:
        files: that make it up, in the order in which they are merged.
        places: place -> file and line, or the command line.
    """

    files: list[str]
    places: dict[tuple[str | int, ...], str]

    def of(self, path: tuple[str | int, ...]) -> str:
        """Where the value at a place is from; empty where nobody wrote it."""
        from flowsynth.config.origins import origin_of

        return origin_of(path, self.places)


def known_origins(overrides: Sequence[str], cwd: Path | None = None) -> Origins:
    """Where each value of a configuration was written.

    Raises:
        RequestError: as `composed_values`.
    """
    from flowsynth.config.hydra_compose import compose_config
    from flowsynth.config.origins import files, origins

    with LOCK:
        composed = compose_config(overrides, search_path(cwd))
    return Origins(files(composed, cwd), origins(composed, cwd))


def _of_sweeps(line: str) -> Fault:
    """An override of a sweep, given to a single run."""
    key = line.partition("=")[0].lstrip("+~")
    expected = "output_dir=PATH, or --multirun beside it" if key.endswith("dir") else "--multirun beside it"
    return Fault(key, "not used by a single run", expected, repr(line))


def written_to(settings: Settings, folder: Path | None, key: str) -> Settings:
    """The settings, with the folder that one of Hydra's keys names.

    Raises:
        GraphError: two folders.
    """
    if folder is not None and settings.output_dir not in (None, folder):
        given = f"{folder} and {settings.output_dir}"
        fault = Fault(key, "two folders", f"one of output_dir and {key}", given)
        raise GraphError([fault], "settings")
    return settings if folder is None else settings.model_copy(update={"output_dir": folder})


def compose_settings(overrides: Sequence[str], command: str, cwd: Path | None = None) -> Settings:
    """The settings that overrides ask for, where nothing else is asked.

    Args:
        overrides: such as ``cache.dir=PATH`` and ``device=cpu``.
        command: who takes no others, for messages.
        cwd: as for `compose_request`.

    Raises:
        RequestError: as `compose_request`, and an override that is no setting.
    """
    names = list(Settings.model_fields)
    keys = [line.partition("=")[0].lstrip("+~") for line in overrides]
    faults = [
        Fault(key, f"not used by {command}", f"one of {listing(names)}", repr(line), nearest(key, names))
        for key, line in zip(keys, overrides, strict=True)
        if key.partition(".")[0] not in names
    ]
    if faults:
        raise GraphError(faults, "overrides")
    return compose_request(overrides, cwd).settings


def compose_graph(name: str, overrides: Sequence[str] = (), cwd: Path | None = None) -> dict[str, Any]:
    """The graph of a name as plain values: what a graph is built from.

    Raises:
        RequestError: as `compose_request`.
    """
    return compose_request([f"graph={name}", *overrides], cwd).graph


def sweep(overrides: Sequence[str], cwd: Path | None = None) -> list[list[str]]:
    """The overrides of every job that comma lists, ``range`` and ``glob`` come to.

    Raises:
        RequestError: an override that cannot be read.
    """
    from flowsynth.config.hydra_compose import expand_sweep

    with LOCK:
        return expand_sweep(overrides, search_path(cwd))
