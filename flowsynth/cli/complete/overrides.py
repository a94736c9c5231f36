"""What an override may become: keys step by step along their dots, and values where they are known."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flowsynth.cli.complete.paths import files
from flowsynth.config.sketch import groups, sketch

#: Keys whose values are files or folders.
_PATHS = re.compile(r"(^|[._])(video|image|audio|mask|path|file|weights|source|dir)$")
_SETTINGS = {
    "executor": ("serial", "threads", "ray"),
    "device": ("auto", "cpu", "cuda", "cuda:0"),
    "cache.keep": ("costly", "all", "outputs"),
}
_NODE_KEYS = {"op": "", "inputs": {}, "params": {}, "device": "", "cache": ""}


def override_words(given: Sequence[str], current: str) -> list[str]:
    """Overrides, or beginnings of some, that a word may become.

    Args:
        given: the overrides before it.
        current: the word.
    """
    prefix = current[: len(current) - len(current.lstrip("+~"))]
    word = current[len(prefix) :]
    key, equals, value = word.partition("=")
    if equals:
        head, comma, last = value.rpartition(",")
        return [f"{prefix}{key}={head}{comma}{text}" for text in _values(key, last, given)]
    return [f"{prefix}{text}" for text in _keys(word, given)]


def node_names(given: Sequence[str]) -> list[str]:
    """Names of the nodes of the graph that some words ask for, as plans name them."""
    return list(_nodes(_tree(given).get("graph", {}).get("nodes", {})))


def _nodes(nodes: Any) -> Iterable[str]:
    for name, node in nodes.items() if isinstance(nodes, dict) else ():
        inner = node.get("nodes") if isinstance(node, dict) else None
        if inner:
            yield from (f"{name}/{each}" for each in _nodes(inner))
        else:
            yield name


def _tree(given: Sequence[str]) -> dict[str, Any]:
    return sketch([line for line in given if "=" in line])


def _keys(word: str, given: Sequence[str]) -> list[str]:
    """Keys that begin as a word does: one more name each, with a dot where more names follow."""
    head, dot, start = word.rpartition(".")
    tree = _tree(given)
    here: Any = _below(tree, head.split(".")) if dot else tree
    found = [f"{head}{dot}{name}{_end(value)}" for name, value in _named(here) if name.startswith(start)]
    chosen = [f"{group}=" for group in groups() if not dot and group.startswith(start)]
    hydra = [name for name in ("hydra/launcher=", "hydra/sweeper=") if not dot and name.startswith(word)]
    return sorted({*found, *chosen, *(hydra if word else ())})


def _named(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, Mapping) else []


def _end(value: Any) -> str:
    return "." if isinstance(value, Mapping) and value else "="


def _below(tree: Any, path: Sequence[str]) -> Any:
    """What may be set below a place: what is there, and of a node what its operator takes."""
    here: Any = tree
    for part in path:
        here = here.get(part) if isinstance(here, Mapping) else None
    if path[0] != "graph" or len(path) < 2 or "nodes" not in path:
        return here
    if isinstance(here, Mapping) and "op" in here:
        return {**_NODE_KEYS, "params": {"": ""}, "inputs": {"": ""}, **_filled(here)}
    if path[-1] in ("params", "inputs"):
        node = _at(tree, path[:-1])
        return dict.fromkeys(_fields(str(node.get("op", "")), path[-1]), "")
    return here


def _filled(node: Mapping[str, Any]) -> dict[str, Any]:
    """A node with something to choose below its params and inputs."""
    return {key: value or {"": ""} if key in ("params", "inputs") else value for key, value in node.items()}


def _at(tree: Any, path: Sequence[str]) -> Mapping[str, Any]:
    for part in path:
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return tree if isinstance(tree, Mapping) else {}


def _fields(op: str, what: str) -> list[str]:
    """Names of an operator's params or inputs."""
    cls = _operator(op)
    if cls is None:
        return []
    from flowsynth.core.ports import ports_of

    return list(cls.model_fields if what == "params" else ports_of(cls).inputs)


def _operator(op: str) -> Any:
    from flowsynth.core.errors import FlowsynthError
    from flowsynth.core.registry import operator_class

    try:
        return operator_class(op)
    except FlowsynthError:
        return None


def _values(key: str, start: str, given: Sequence[str]) -> list[str]:
    known = [text for text in _known(key, given) if text.startswith(start)]
    if known or not _PATHS.search(key):
        return sorted(known)
    return files(start)


def _known(key: str, given: Sequence[str]) -> Sequence[str]:
    """The values that a key may have, where they can be told."""
    if key in (choices := groups()):
        return choices[key]
    if key in _SETTINGS:
        return _SETTINGS[key]
    if key in ("hydra/launcher", "hydra/sweeper"):
        from flowsynth.config.plugins import LAUNCHERS, SWEEPERS

        return list(LAUNCHERS if key.endswith("launcher") else SWEEPERS)
    tree, path = _tree(given), key.split(".")
    if path[0] == "graph" and "nodes" in path and len(path) > 3:
        return _of_node(tree, path)
    return ["true", "false"] if isinstance(_at(tree, path[:-1]).get(path[-1]), bool) else []


def _of_node(tree: Any, path: Sequence[str]) -> Sequence[str]:
    if path[-1] == "op":
        from flowsynth.core.registry import operator_names

        return operator_names()
    if path[-1] == "cache":
        return ("auto", "always", "never")
    if path[-1] == "device":
        return _SETTINGS["device"]
    if path[-2] == "inputs":
        models = [f"models.{name}" for name in _at(tree, ["graph", "models"])]
        return [*_at(tree, path[: len(path) - 3]), *models]
    cls = _operator(str(_at(tree, path[:-2]).get("op", "")))
    return _choices(cls.model_json_schema()["properties"].get(path[-1], {})) if cls is not None else []


def _choices(schema: Mapping[str, Any]) -> list[str]:
    """The values that a JSON Schema lists."""
    found = [str(value) for value in schema.get("enum", [])]
    found += ["true", "false"] if schema.get("type") == "boolean" else []
    found += ["null"] if schema.get("type") == "null" else []
    return found + [text for part in schema.get("anyOf", []) for text in _choices(part)]
