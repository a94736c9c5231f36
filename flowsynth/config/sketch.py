"""A configuration as it will about be, for completion: read with no Hydra, in a few milliseconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flowsynth.config.folders import MAIN, search_path
from flowsynth.core.errors import FlowsynthError
from flowsynth.core.yaml_text import read_yaml

_GRAPH, _SETTINGS = "graph", "settings"
#: Packages of a file that is merged where the one that names it is.
_HERE = ("", "_here_")
#: Files that bring one another along.
_MAX_FILES = 60


def sketch(overrides: Sequence[str], cwd: Path | None = None) -> dict[str, Any]:
    """The keys and values that overrides come to; what cannot be read is left out.

    Args:
        overrides: as typed.
        cwd: the folder whose ``graphs/`` and ``conf/`` come before the shipped ones; the current one if None.
    """
    return _Sketch(overrides, cwd).draw()


def groups(cwd: Path | None = None) -> dict[str, list[str]]:
    """The groups that something is chosen from, and what there is to choose."""
    found: dict[str, set[str]] = {}
    for place in search_path(cwd):
        for path in [*place.conf.glob("*/*.yaml"), *place.graphs.glob("*.yaml")]:
            group = _GRAPH if path.parent == place.graphs else path.parent.name
            found.setdefault(group, set()).add(path.stem)
    return {group: sorted(names) for group, names in found.items()}


class _Sketch:
    def __init__(self, overrides: Sequence[str], cwd: Path | None) -> None:
        self._places = search_path(cwd)
        pairs = (line.lstrip("+").partition("=") for line in overrides)
        self._given = {key: value for key, equals, value in pairs if equals}
        self._tree: dict[str, Any] = {}
        self._left = _MAX_FILES

    def draw(self) -> dict[str, Any]:
        main = self._read(MAIN)
        chosen = {key: name for item in main.pop("defaults", []) for key, name in _pairs(item)}
        self._merge((), main)
        experiment = self._read(f"experiment/{self._given.get('experiment', '')}")
        said = {key: name for item in experiment.pop("defaults", []) for key, name in _pairs(item)}
        graph = self._given.get(_GRAPH) or said.get(f"override /{_GRAPH}") or str(chosen.get(_GRAPH))
        files = list(self._graph(graph))
        of_graph = {
            key: name for data in files for item in data.get("defaults", []) for key, name in _pairs(item)
        }
        for group in chosen.keys() - {_GRAPH, "experiment"}:
            override = said.get(f"override /{group}") or of_graph.get(f"override /{group}@_global_.{group}")
            name = self._given.get(group) or override or chosen[group]
            self._add(f"{group}/{name}", (group,))
        for data in files:
            self._merge((), data.get(_SETTINGS))
        self._merge((), experiment)
        self._add(f"{_GRAPH}/{graph}", (_GRAPH,))
        for key, value in self._given.items():
            if "." in key or key not in chosen:
                self._merge(tuple(key.split(".")), value)
        return self._tree

    def _graph(self, name: str) -> Iterator[dict[str, Any]]:
        """The file of a graph, after those of the graphs that it is made of."""
        data = self._read(f"{_GRAPH}/{name}")
        for item in data.get("defaults") or []:
            inner, _, package = item.partition("@") if isinstance(item, str) else ("/", "", "")
            if inner != "_self_" and package in _HERE and "/" not in inner:
                yield from self._graph(inner)
        yield data

    def _add(self, name: str, path: tuple[str, ...]) -> None:
        """Merge a file and what it brings along."""
        self._insert(self._read(name), name, path)

    def _insert(self, data: dict[str, Any], name: str, path: tuple[str, ...]) -> None:
        if path == (_GRAPH,):
            data.pop(_SETTINGS, None)  # they stand at the top
        for item in data.pop("defaults", None) or []:
            if isinstance(item, str) and item != "_self_":
                inner, _, package = item.partition("@")
                below = () if package in _HERE else tuple(package.split("."))
                self._add(f"{name.rpartition('/')[0]}/{inner}", (*path, *below))
        self._merge(path, data)

    def _merge(self, path: tuple[str, ...], value: Any) -> None:
        if not path and not isinstance(value, dict):
            return
        here = self._tree
        for part in path[:-1]:
            if not isinstance(here.setdefault(part, {}), dict):
                here[part] = {}
            here = here[part]
        if not path:
            _merge_into(here, value)
        elif isinstance(value, dict) and isinstance(here.get(path[-1]), dict):
            _merge_into(here[path[-1]], value)
        else:
            here[path[-1]] = value

    def _read(self, name: str) -> dict[str, Any]:
        """A file by its name in a defaults list; empty where it is not there or cannot be read."""
        self._left -= 1
        for place in self._places:
            inner = name.removeprefix(f"{_GRAPH}/")
            file = (place.conf / f"{name}.yaml") if inner == name else (place.graphs / f"{inner}.yaml")
            if self._left > 0 and file.is_file():
                try:
                    data = read_yaml(file)
                except FlowsynthError:
                    return {}
                return data if isinstance(data, dict) else {}
        return {}


def _merge_into(mine: dict[str, Any], theirs: Mapping[str, Any]) -> None:
    for key, value in theirs.items():
        if isinstance(value, dict) and isinstance(mine.get(key), dict):
            _merge_into(mine[key], value)
        else:
            mine[key] = value


def _pairs(item: Any) -> Iterator[tuple[str, str]]:
    """The choices of an entry of a defaults list."""
    if isinstance(item, dict):
        for key, name in item.items():
            yield str(key), str(name)
