"""Merging where one side is an interpolation: it is looked up by us, since OmegaConf would follow a bomb."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from flowsynth.config.interpolation import Values
from flowsynth.config.resolvers import BrokenError, Path
from flowsynth.core.errors import GraphError


def merge_into(config: DictConfig, other: Any) -> None:
    """Merge a configuration into another, in place; the other one wins.

    Raises:
        GraphError: an interpolation that a mapping would be merged into leads nowhere or too far.
    """
    for path in _meetings(config, other, ()):
        _unfold(config, path)
    config.merge_with(other)


def unfold_keys(overrides: Sequence[Override], config: DictConfig) -> None:
    """Put its value in place of every interpolation that an override reaches into, adds to or deletes.

    Raises:
        GraphError: it leads nowhere or too far.
    """
    for override in overrides:
        parts = override.key_or_group.replace("]", "").replace("[", ".").split(".")
        followed = len(parts) - (0 if override.is_add() or override.is_delete() else 1)
        node: Any = config
        for depth, part in enumerate(parts):
            raw = node._get_node(part, validate_access=False) if isinstance(node, DictConfig) else None
            if raw is not None and raw._is_interpolation():
                if isinstance(override.value(), dict) or depth < len(parts) - 1:
                    _unfold(config, tuple(parts[: depth + 1]))
                elif depth < followed:
                    _work_out(config, tuple(parts))
                raw = node._get_node(part, validate_access=False)
            node = raw


def _meetings(config: DictConfig, other: Any, path: Path) -> list[Path]:
    """Places where a mapping would be merged into an interpolation."""
    found: list[Path] = []
    if not isinstance(other, DictConfig) or other._is_none() or other._is_interpolation():
        return found
    for key in other:
        mine = config._get_node(key, validate_access=False)  # not `in`, which would follow it
        theirs = other._get_node(key, validate_access=False)
        if mine is None or not isinstance(theirs, DictConfig) or theirs._is_none():
            continue
        if mine._is_interpolation():
            found += [] if theirs._is_interpolation() else [(*path, str(key))]
        elif isinstance(mine, DictConfig) and not mine._is_none():
            found += _meetings(mine, theirs, (*path, str(key)))
    return found


def _unfold(config: DictConfig, path: Path) -> None:
    """Put the mapping that an interpolation leads to in its place, an empty one where that is none."""
    raw: Any = OmegaConf.to_container(config, resolve=False)
    values = Values(raw)
    try:
        target = values.target(path)
    except BrokenError:
        raise GraphError(values.faults, "configuration") from None
    _set(config, path, target if isinstance(target, dict) else {})


def _work_out(config: DictConfig, path: Path) -> None:
    """Put its value in place of an interpolation."""
    raw: Any = OmegaConf.to_container(config, resolve=False)
    values = Values(raw)
    value = values.get(*path)
    if values.faults:
        raise GraphError(values.faults, "configuration")
    _set(config, path, value)


def _set(config: DictConfig, path: Path, value: Any) -> None:
    OmegaConf.update(config, ".".join(map(str, path)), value, merge=False, force_add=True)
