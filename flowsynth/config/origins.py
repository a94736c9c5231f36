"""Where each value of a composed configuration was written: the file and line, or the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from flowsynth.config.folders import MAIN, Folders, search_path
from flowsynth.config.resolvers import Path

if TYPE_CHECKING:
    from flowsynth.config.hydra_compose import Composed

COMMAND_LINE = "command line"
_SETTINGS = "settings"


def origins(composed: Composed, cwd: FilePath | None = None) -> dict[Path, str]:
    """Place -> where its value was written; of a place that is not there, that of what is around it counts.

    Args:
        composed: the configuration.
        cwd: the folder whose ``graphs/`` and ``conf/`` came before the shipped ones; the current one if None.
    """
    from omegaconf import OmegaConf

    found: dict[Path, str] = {}
    packages = dict(composed.defaults)
    for name, config in composed.layers:
        file = _file(name, search_path(cwd))
        if file is None:
            continue  # of Hydra itself
        lines, label = _lines(file[0]), file[1]
        inner, outer = _heads(name, packages[name])
        values: Any = OmegaConf.to_container(config, resolve=False)
        for path, _ in _leaves((), values):
            own = (*inner, *path[len(outer) :])
            line = next((lines[own[:n]] for n in range(len(own), 0, -1) if own[:n] in lines), 0)
            _set(found, path, f"{label}:{line}" if line else label)
    for path, value in composed.changes:
        for leaf, _ in _leaves(path, value):
            _set(found, leaf, COMMAND_LINE)
    return found


def origin_of(path: Path, known: Mapping[Path, str]) -> str:
    """Where the value at a place comes from; empty where nobody wrote it."""
    return next((known[path[:n]] for n in range(len(path), 0, -1) if path[:n] in known), "")


def files(composed: Composed, cwd: FilePath | None = None) -> list[str]:
    """The files that make a configuration up, in the order in which they are merged, each once."""
    places = search_path(cwd)
    found = [_file(name, places) for name, _ in composed.layers]
    return list(dict.fromkeys(file[1] for file in found if file is not None))


def _set(found: dict[Path, str], path: Path, origin: str) -> None:
    """Note where a value is from; it replaces whatever was inside it, and a value that was around it."""
    for known in [known for known in found if known[: len(path)] == path or path[: len(known)] == known]:
        del found[known]
    found[path] = origin


def _leaves(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from _leaves((*path, str(key)), part)
    else:
        yield path, value


def _file(name: str, places: Sequence[Folders]) -> tuple[FilePath, str] | None:
    """The file of a config by its name in the defaults list, and how it is called here."""
    stem = name.removesuffix(f".{_SETTINGS}") if name.startswith("graph/") else name
    of_graphs = stem.startswith("graph/")
    below = f"{stem.removeprefix('graph/')}.yaml"
    for place in places:
        path = (place.graphs if of_graphs else place.conf) / below
        own = place is not places[-1]
        if path.is_file() and not (own and stem == MAIN):
            return path, f"{'' if own else 'shipped '}{'graphs' if of_graphs else 'conf'}/{below}"
    return None


def _heads(name: str, package: str) -> tuple[Path, Path]:
    """What comes before a value's path in its file, and in the whole."""
    outer = () if package in ("_global_", "") else tuple(package.split("."))
    return ((_SETTINGS,) if name.startswith("graph/") and name.endswith(f".{_SETTINGS}") else ()), outer


def _lines(file: FilePath) -> dict[Path, int]:
    """Place in a file -> its line."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: dict[Path, int] = {}
    todo: list[tuple[Path, Any]] = [((), yaml.compose(file.read_text(encoding="utf-8"), Loader=loader))]
    while todo:
        path, node = todo.pop()
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                here = (*path, str(key.value))
                found[here] = key.start_mark.line + 1
                todo.append((here, value))
    return found
