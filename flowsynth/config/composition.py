"""Composition in one call: re-entrant, and with Hydra imported only when it is made."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowsynth.config.folders import graph_names, search_path
from flowsynth.config.interpolation import Values
from flowsynth.config.remembered import name_of, recalled, remember
from flowsynth.config.settings import Settings, parse_settings
from flowsynth.core.errors import Fault, GraphError, listing, nearest
from flowsynth.core.record import Request

# Hydra keeps its version behaviour in one object a process: one composition at a time.
_LOCK = threading.RLock()


@dataclass(frozen=True, slots=True)
class Composition:
    """What names, files and overrides come to.

    Attributes:
        graph: the graph as plain values, with nothing left to resolve.
        settings: what the run is told besides.
        values: the rest of the configuration (prompt, input, model, ...).
        overrides: what was asked for, as typed.
        experiments: the experiments among it, by name.
    """

    graph: dict[str, Any]
    settings: Settings
    values: dict[str, Any]
    overrides: tuple[str, ...]
    experiments: tuple[str, ...] = ()

    def request(self) -> Request:
        """What records say of it."""
        return Request(overrides=list(self.overrides), experiments=list(self.experiments))


def compose_request(
    overrides: Sequence[str] = (), cwd: Path | None = None, *, recall: bool = False, keep: bool = False
) -> Composition:
    """Compose the configuration that overrides ask for.

    Args:
        overrides: in Hydra's grammar: ``graph=toon``, ``prompt=...``, ``graph.nodes.N.params.P=V``.
        cwd: the folder whose ``graphs/`` and ``conf/`` come before the shipped ones; the current one if None.
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
    made, values = compose_parts(overrides, cwd)
    if name is not None and keep and not (values.foreign or values.environment):
        parts = {"graph": made.graph, "values": made.values, "experiments": [*made.experiments]}
        if name == name_of(overrides, search_path(cwd)):  # nobody changed a file meanwhile
            remember(name, parts)
    return made


def compose_parts(overrides: Sequence[str], cwd: Path | None = None) -> tuple[Composition, Values]:
    """The composition, and how its values were worked out.

    Raises:
        RequestError: as `compose_request`.
    """
    from flowsynth.config.hydra_compose import compose_config
    from flowsynth.config.resolve import resolved
    from flowsynth.config.unread import unread_faults

    with _LOCK:
        composed = compose_config(overrides, search_path(cwd))
        worked_out = Values(composed.values)
        values, reads = resolved(worked_out)
    graph = values.pop("graph", None)
    if not isinstance(graph, dict):
        expected = f"a mapping, from graph=NAME with one of {listing(graph_names(cwd))}"
        raise GraphError([Fault("graph", "not a graph", expected, repr(graph)[:80])], "configuration")
    name = str(graph.get("name", "graph"))
    if faults := unread_faults(composed.written, reads, composed.mentions, name):
        raise GraphError(faults, "configuration")
    made = Composition(graph, parse_settings(values), values, tuple(overrides), composed.experiments)
    return made, worked_out


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

    with _LOCK:
        return expand_sweep(overrides, search_path(cwd))
