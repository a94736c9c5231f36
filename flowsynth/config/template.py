"""Many jobs composed once: where only plain values differ, what depends on them is worked out anew.

Hydra takes some 50 ms for a job. Of jobs that set the same keys, its work but for the values is the same: the
defaults list, the merging, which keys there are. So one job is composed by Hydra, with a note of which value
was worked out from which, and the next ones replace the values and what depends on them. Whatever is not
provably so (an interpolation that leads elsewhere now, a fault) is left to Hydra.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from flowsynth.api import Graph
from flowsynth.api.declared import model_faults
from flowsynth.config.composition import Composition, compose_parts
from flowsynth.config.doors import Doors, is_of_doors, subdir_of
from flowsynth.config.interpolation import Values
from flowsynth.config.lines import Line, Lines
from flowsynth.config.resolve import missing_faults, resolved, text_keys
from flowsynth.config.resolvers import Path
from flowsynth.config.runtime import Runtime
from flowsynth.config.settings import Settings, parse_settings
from flowsynth.core.checks import operator_faults
from flowsynth.core.edges import ModelEdge, Node
from flowsynth.core.errors import GraphError
from flowsynth.core.operator import Operator
from flowsynth.core.record import Request


@dataclass(slots=True)
class Made:
    """A job's graph and settings.

    Attributes:
        graph: checked.
        settings: what the run is told besides.
        doors: how its sweep is made up and run.
        subdir: its folder in that of the sweep, if it was said.
    """

    graph: Graph
    settings: Settings
    doors: Doors
    subdir: str | None


class Composer:
    """Composes the jobs of a sweep.

    Args:
        varying: keys whose values differ between jobs.
        cwd: the folder whose ``graphs/`` and ``conf/`` come before the shipped ones; the current one if None.
        runtime: of the sweep.

    Attributes:
        by_hydra: how many jobs Hydra composed.
    """

    def __init__(
        self, varying: Collection[str], cwd: FilePath | None = None, runtime: Runtime | None = None
    ) -> None:
        self.by_hydra = 0
        self._runtime = runtime or Runtime(sweeping=True)
        self._cwd = cwd
        self._lines = Lines(varying, cwd)
        self._templates: dict[tuple[str, ...], Template | None] = {}

    def compose(self, overrides: Sequence[str], number: int | None = None) -> Made:
        """One job.

        Args:
            overrides: its own.
            number: its place in the sweep.

        Raises:
            RequestError: everything wrong with it.
        """
        runtime = replace(self._runtime, number=number)
        lines = self._lines.of(overrides)
        shape = tuple(line.shape for line in lines or ())
        template = self._templates.get(shape) if lines is not None else None
        if lines is not None:
            job = runtime.job(overrides)
            lines = [*lines, *(Line("", ("hydra", "job", key), value) for key, value in job.items())]
        if lines is not None and template is not None:
            made = template.job(overrides, lines)
            if made is not None:
                return made
        self.by_hydra += 1
        composition, mentioned = compose_parts(overrides, self._cwd, runtime)
        graph = Graph.from_dict(composition.graph)
        graph.request = composition.request()
        if lines is not None and shape not in self._templates:
            self._templates[shape] = template_of(lines, mentioned, composition, graph)
        return Made(graph, composition.settings, composition.doors, composition.subdir)


class Template:
    """A composed job in whose place others come.

    Args:
        values: all values of the first job, worked out.
        composition: what they came to.
        graph: its graph.
        dirty: the places that depend on what jobs set, and those around them.
    """

    def __init__(self, values: Values, composition: Composition, graph: Graph, dirty: set[Path]) -> None:
        self._values, self._composition, self._graph = values, composition, graph
        self._dirty = dirty
        self._clean = values.outside(dirty)
        self._links = {path: values.links[path] for path in dirty if path in values.links}
        self._places = Places.of(dirty, graph, composition.settings)

    def job(self, overrides: Sequence[str], lines: Sequence[Line]) -> Made | None:
        """Another job; None where it may not be what Hydra makes of it."""
        values = Values(self._raw(lines), done=dict(self._clean), now=self._values.now)
        try:
            made = self._built(values) if self._places.whole else self._patched(values)
        except GraphError:
            return None
        links = {path: values.links[path] for path in values.links}
        if made is None or values.faults or values.foreign or links != self._links:
            return None
        made.graph.request = Request(
            overrides=list(overrides), experiments=list(self._composition.experiments)
        )
        return made

    def _raw(self, lines: Sequence[Line]) -> Mapping[str, Any]:
        raw: dict[Any, Any] = dict(self._values.raw)
        for line in lines:
            if line.path is not None:
                here = raw
                for part in line.path[:-1]:
                    here[part] = dict(here[part])
                    here = here[part]
                here[line.path[-1]] = line.value
        return raw

    def _built(self, values: Values) -> Made:
        plain, _ = resolved(values)
        graph, settings = Graph.from_dict(plain.pop("graph")), parse_settings(plain)
        return Made(graph, settings, self._composition.doors, subdir_of(values))

    def _patched(self, values: Values) -> Made | None:
        """The first job's graph with other params and models in it."""
        graph = copy.copy(self._graph)
        graph.nodes, graph.models = dict(graph.nodes), dict(graph.models)
        for name, path in self._places.models.items():
            graph.models[name] = dict(self._at(values, path))
        for name, path in self._places.params.items():
            node = graph.nodes[name]
            try:
                operator = type(node.operator)(**self._at(values, path))
            except (ValidationError, TypeError):
                return None
            graph.nodes[name] = replace(node, operator=operator)
        if model_faults({name: graph.models[name] for name in self._places.models}):
            return None
        if any(operator_faults(graph, graph.nodes[name]) for name in self._places.checked):
            return None
        for key in values.raw:  # what nothing in the graph reads may be at fault all the same
            values.get(key)
        settings = self._composition.settings
        if self._places.settings:
            told = {key: text_keys(values.get(key)) for key in values.raw if key != "graph"}
            settings = parse_settings(told)
        return Made(graph, settings, self._composition.doors, subdir_of(values))

    def _at(self, values: Values, path: Path) -> dict[str, Any]:
        """A mapping of the graph, whole.

        Raises:
            GraphError: it is none, or something in it must be set.
        """
        found = values.get(*path)
        if not isinstance(found, dict) or any(missing_faults(found, "")):
            raise GraphError([])
        plain: dict[str, Any] = text_keys(found)
        return plain


@dataclass(slots=True)
class Places:
    """What of a graph depends on what jobs set.

    Attributes:
        params: node -> where its params are.
        models: model -> where its entry is.
        checked: nodes whose operators have to check again: those, who reads them, who uses the models, and
            who goes by the size of frames, which may come from far upstream.
        settings: whether settings depend on it.
        whole: more of the graph does, so that it is built anew.
    """

    params: dict[str, Path]
    models: dict[str, Path]
    checked: list[str]
    settings: bool
    whole: bool

    @classmethod
    def of(cls, dirty: set[Path], graph: Graph, settings: Settings) -> Places:
        """Sort the places."""
        params: dict[str, Path] = {}
        models: dict[str, Path] = {}
        whole = False
        for path in dirty:
            if path[0] != "graph":
                continue
            found = _params(path)
            if found is not None and found[0] in graph.nodes:
                params[found[0]] = found[1]
            elif path[1:2] == ("models",) and len(path) > 2 and str(path[2]) in graph.models:
                models[str(path[2])] = path[:3]
            elif not _around(path, dirty):
                whole = True
        checked = [
            node.name
            for node in graph.nodes.values()
            if _concerns(node, params, models) or type(node.operator).size_faults is not Operator.size_faults
        ]
        told = any(path[0] in type(settings).model_fields for path in dirty)
        return cls(params, models, checked, told, whole)


def _params(path: Path) -> tuple[str, Path] | None:
    """The node whose params a place is in, and where these are: stages nest as ``nodes.S.nodes.N``."""
    names: list[str] = []
    at = 1
    while path[at : at + 1] == ("nodes",) and len(path) > at + 2:
        names.append(str(path[at + 1]))
        at += 2
    if names and path[at : at + 1] == ("params",):
        return "/".join(names), path[: at + 1]
    return None


def _around(path: Path, dirty: set[Path]) -> bool:
    """Whether a place is dirty only for what lies in it."""
    return any(len(other) > len(path) and other[: len(path)] == path for other in dirty)


def _concerns(node: Node, params: Mapping[str, Path], models: Mapping[str, Path]) -> bool:
    if node.name in params:
        return True
    return any(
        source.model in models if isinstance(source, ModelEdge) else source.node in params
        for sources in node.inputs.values()
        for source in sources
    )


def template_of(
    lines: Sequence[Line], values: Values, composition: Composition, graph: Graph
) -> Template | None:
    """A template of a composed job; None where others cannot be had from it."""
    paths = [line.path for line in lines if line.path is not None]
    if values.foreign or not paths or not all(_is_set(values, line) for line in lines):
        return None
    dirty = _dirty(paths, values.links)
    return None if any(map(is_of_doors, dirty)) else Template(values, composition, graph, dirty)


def _is_set(values: Values, line: Line) -> bool:
    """Whether an override did what it says, and no more: its value stands where it goes."""
    if line.path is None:
        return True
    here: Any = values.raw
    for part in line.path:
        if not isinstance(here, dict) or part not in here:
            return False
        here = here[part]
    return type(here) is type(line.value) and (here == line.value or here != here)  # noqa: PLR0124  (a NaN)


def _dirty(paths: Sequence[Path], links: Mapping[Path, set[Path]]) -> set[Path]:
    """All places that depend on some, and the places around them."""
    dirty: set[Path] = set()
    fresh = [*paths]
    while fresh:
        dirty.update(place for path in fresh for place in _with_outer(path))
        fresh = [asker for asker, read in links.items() if asker not in dirty and not read.isdisjoint(dirty)]
    return dirty


def _with_outer(path: Path) -> Iterator[Path]:
    return (path[:end] for end in range(1, len(path) + 1))
