"""Overrides that name what is not there, and choices made where they do nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra._internal.config_repository import CachingConfigRepository
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from flowsynth.config.hydra_sources import GROUP
from flowsynth.config.plugins import LAUNCHER, LAUNCHERS, OURS, SAMPLER, SWEEPER
from flowsynth.config.words import meant
from flowsynth.core.errors import Fault, GraphError, listing, nearest

#: Groups of which one is chosen, always.
SINGLE = (GROUP, "model", "input", LAUNCHER, SWEEPER, SAMPLER)
#: Groups that are chosen by a name only: a mapping would be merged into whatever was chosen before.
BY_NAME = (GROUP, "experiment")


_CHOICE = f"{LAUNCHER}=NAME beside it, one of {listing(set(LAUNCHERS) - {OURS})}"


def check_groups(overrides: Sequence[Override], repository: CachingConfigRepository) -> None:
    """See that what is chosen from a group is there.

    Raises:
        GraphError: all that is not.
    """
    faults = [
        fault
        for override in overrides
        if not override.is_delete() and repository.group_exists(override.key_or_group)
        for fault in _choice_faults(override, repository)
    ]
    if faults:
        raise GraphError(faults, "overrides")


def _choice_faults(override: Override, repository: CachingConfigRepository) -> Iterator[Fault]:
    group, value = override.key_or_group, override.value()
    options = repository.get_group_options(group)
    expected = f"one of {listing(options)}"
    if isinstance(value, dict):
        if group in BY_NAME:
            yield Fault(
                group,
                "chosen by its name",
                f"{expected}; parts are set as {group}.KEY=VALUE",
                repr(value)[:80],
            )
        return
    if isinstance(value, list) and group in SINGLE:
        yield Fault(
            group, "several values", f"{expected}, or --multirun", repr([str(name) for name in value])[:80]
        )
        return
    for name in value if isinstance(value, list) else [value]:
        if name is None or not repository.config_exists(f"{group}/{name}"):
            given = "null" if name is None else str(name)
            near = meant(given, group) if "/" in given else nearest(given, options)
            yield Fault(group, f"unknown {group}", _expected(given, group, expected), repr(given), near)


def _expected(given: str, group: str, options: str) -> str:
    """What a group takes; of a path, that it takes names."""
    if "/" not in given and not given.endswith((".yaml", ".yml")):
        return options
    home = "graphs" if group == GROUP else f"conf/{group}"
    return f"{options}: names, without folder and ending, of files in {home}/ of the current folder or ours"


def choice_faults(where: str, values: Mapping[str, Any]) -> list[Fault]:
    """Choices that a file makes by a plain key, where only a defaults list can make them.

    Args:
        where: what stands before a key in messages: ``graphs/NAME.yaml: settings.``, or the file's name.
        values: what the file sets at the top of the configuration.
    """
    faults = []
    for group in sorted({*SINGLE, *BY_NAME}.intersection(values)):
        value, of_graph = values[group], where.startswith("graphs/")
        if not isinstance(value, dict) or (of_graph and group in BY_NAME):
            faults.append(
                Fault(where + group, "not set here", _instead(group, value, of_graph), repr(value)[:80])
            )
    return faults


def _instead(group: str, value: Any, of_graph: bool) -> str:
    if group not in SINGLE:
        return f"{group}=NAME on the command line"
    if not of_graph:
        return f"defaults: [override /{group}: {value}]"
    if group == GROUP:
        return "nodes, models and outputs beside settings, not below"
    return f"defaults: [override /{group}@_global_.{group}: {value}]"


def check_keys(overrides: Sequence[Override], config: DictConfig) -> None:
    """See that what overrides set is there to be set.

    Raises:
        GraphError: all that is not.
    """
    faults = []
    for override in overrides:
        if override.is_add():
            faults += _there_faults(override, config)
        elif not override.is_force_add():
            faults += _key_faults(override, config) or _other_value_faults(override, config)
    if faults:
        raise GraphError(faults, "overrides")


def _key_faults(override: Override, config: DictConfig) -> list[Fault]:
    """A key whose beginning is not there: a typo, and OmegaConf would make a new branch of it."""
    parts = override.key_or_group.replace("]", "").replace("[", ".").split(".")
    node: Any = config
    for depth, part in enumerate(parts):
        if not isinstance(node, DictConfig):
            return []
        raw = node._get_node(part, validate_access=False)  # not `in`, which would follow an interpolation
        if raw is None:
            if not override.is_delete() and _may_be_new(parts, depth):
                return []
            names = [str(name) for name in node]
            path = ".".join(parts[: depth + 1])
            given = repr(path if override.is_delete() else override.value())
            expected = f"one of {listing(names)}" if names or parts[0] != "hydra" else _CHOICE
            return [Fault(path, "no such key", expected, given, nearest(part, names))]
        node = raw if isinstance(raw, DictConfig) and not raw._is_interpolation() else None
    return []


def _at(override: Override, config: DictConfig) -> Any:
    """What stands where an override points, as it is written; None where nothing does."""
    node: Any = config
    for part in override.key_or_group.replace("]", "").replace("[", ".").split("."):
        if not isinstance(node, DictConfig) or node._is_interpolation():
            return None
        node = node._get_node(part, validate_access=False)
    return node


def _there_faults(override: Override, config: DictConfig) -> list[Fault]:
    """``+key=value`` of a key that is there."""
    key, there = override.key_or_group, _at(override, config)
    if there is None or isinstance(there, DictConfig):
        return []
    return [Fault(key, "is there already", f"{key}=VALUE, without +", repr(override.input_line))]


def _other_value_faults(override: Override, config: DictConfig) -> list[Fault]:
    """``~key=value`` of a key that has another value."""
    there = _at(override, config)
    if not override.is_delete() or override.value() is None or isinstance(there, (DictConfig, type(None))):
        return []
    if there._value() == override.value():
        return []
    key = override.key_or_group
    return [Fault(key, f"is {there._value()!r}", f"~{key}, whatever it is", repr(override.input_line))]


def _may_be_new(parts: list[str], depth: int) -> bool:
    # Below a node that exists anything may be new: the graph's own checker names what is wrong there.
    if parts[0] == "model" or parts[:3] == ["hydra", "sweeper", "params"] or "resources" in parts[:1:-1]:
        return True
    return parts[0] == GROUP and depth >= 1 and parts[depth - 1] != "nodes"
