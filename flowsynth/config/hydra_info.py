"""Where a configuration comes from: its files in order, their tree, and the plugins that can be chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hydra.core.default_element import DefaultsTreeNode, GroupDefault, InputDefault

from flowsynth.config.composition import LOCK
from flowsynth.config.folders import search_path
from flowsynth.config.hydra_compose import compose_config
from flowsynth.config.plugins import LAUNCHER, LAUNCHERS, OURS, REFUSED, SWEEPER, SWEEPERS, Plugin


def defaults_lines(overrides: Sequence[str]) -> list[str]:
    """The files that make a configuration up, in the order in which they are merged, with their packages."""
    with LOCK:
        found = compose_config(overrides, search_path()).defaults
    width = max(len(path) for path, _ in found)
    return [f"{path:<{width}}  {package}" for path, package in found]


def tree_lines(overrides: Sequence[str]) -> list[str]:
    """The same as a tree: which file brings which along."""
    with LOCK:
        return list(_tree(compose_config(overrides, search_path()).tree, 0))


def _tree(tree: Any, depth: int) -> Iterator[str]:
    node: InputDefault = tree.node if isinstance(tree, DefaultsTreeNode) else tree
    name = node.get_config_path()
    if isinstance(node, GroupDefault):
        name = f"{node.get_override_key()}: {'null' if node.get_name() is None else node.get_name()}"
    if not node.is_self() or depth:
        yield f"{'  ' * depth}{name}"
    for child in (tree.children or ()) if isinstance(tree, DefaultsTreeNode) else ():
        yield from _tree(child, depth + 1)


def plugin_lines() -> Iterator[str]:
    """Launchers and sweepers, and whether they are installed; none is imported."""
    for group, plugins in ((LAUNCHER, LAUNCHERS), (SWEEPER, SWEEPERS)):
        for name, plugin in plugins.items():
            state = "ours, the default" if name == OURS else _state(plugin)
            yield f"{group}={name}: {state}"
        for name, reason in REFUSED[group].items():
            yield f"{group}={name}: not supported: {reason}"


def _state(plugin: Plugin) -> str:
    return "installed" if plugin.is_installed else f"not installed; {plugin.install}"
