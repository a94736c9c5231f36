"""Composition with Hydra's defaults lists, groups and overrides, leaving no global state behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository, ConfigRepository
from hydra._internal.defaults_list import create_defaults_list
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from flowsynth.config.folders import MAIN, Folders
from flowsynth.config.hydra_overrides import hydra_version, parse_overrides
from flowsynth.config.hydra_sources import sources
from flowsynth.core.errors import Fault, GraphError, RequestError, listing, nearest

#: Parts of the configuration where a key that the files do not mention may be set without ``+``.
OPEN_PARTS = ("graph", "model")


class Repository(ConfigRepository):  # type: ignore[misc]
    """A config repository over our own sources, without Hydra's registry of schemes."""

    def __init__(self, places: list[Folders]) -> None:
        self.sources = sources(places)


def compose_config(overrides: Sequence[str], places: list[Folders]) -> DictConfig:
    """The composed configuration, overrides applied, interpolations not yet resolved.

    Raises:
        RequestError: anything that the user got wrong.
    """
    with hydra_version():
        try:
            return _compose(overrides, CachingConfigRepository(Repository(places)))
        except MissingConfigException as error:
            raise GraphError([_missing(error)], "configuration") from None
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            raise RequestError(f"configuration: {_first_lines(error)}") from None


def expand_sweep(overrides: Sequence[str], places: list[Folders]) -> list[list[str]]:
    """The overrides of every job of a sweep, the last key changing fastest.

    Raises:
        GraphError: an override that cannot be read.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    with hydra_version():
        repository = Repository(places)
        parsed = parse_overrides(overrides, sweeping=True, options=repository)
        try:
            jobs: list[list[str]] = BasicSweeper.split_arguments(parsed, None)[0]
        except (HydraException, ValueError) as error:
            raise RequestError(f"--multirun: {_first_lines(error)}") from None
        return jobs


def _compose(lines: Sequence[str], repository: CachingConfigRepository) -> DictConfig:
    overrides = parse_overrides(lines, sweeping=False)
    _check_groups(overrides, repository)
    found = create_defaults_list(
        repo=repository, config_name=MAIN, overrides_list=overrides, prepend_hydra=False, skip_missing=False
    )
    config = OmegaConf.create()
    for default in found.defaults:
        loaded = repository.load_config(default.config_path)
        config.merge_with(ConfigLoaderImpl._embed_result_config(loaded, default.package).config)
    OmegaConf.set_struct(config, True)
    for part in OPEN_PARTS:
        if OmegaConf.is_config(config.get(part)):
            OmegaConf.set_struct(config[part], False)
    _check_keys(found.config_overrides, config)
    ConfigLoaderImpl._apply_overrides_to_config(found.config_overrides, config)
    return config


def _check_groups(overrides: list[Override], repository: CachingConfigRepository) -> None:
    faults = []
    for override in overrides:
        group, value = override.key_or_group, override.value()
        if override.is_delete() or isinstance(value, dict) or not repository.group_exists(group):
            continue
        for name in value if isinstance(value, list) else [value]:
            if name is None or not repository.config_exists(f"{group}/{name}"):
                given = "null" if name is None else str(name)
                faults.append(_unknown_choice(group, given, repository.get_group_options(group)))
    if faults:
        raise GraphError(faults, "overrides")


def _unknown_choice(group: str, name: str, options: list[str]) -> Fault:
    expected = f"one of {listing(options)}"
    return Fault(group, f"unknown {group}", expected, repr(name), nearest(name, options))


def _check_keys(overrides: list[Override], config: DictConfig) -> None:
    faults = []
    for override in overrides:
        if not (override.is_add() or override.is_force_add()):
            faults += _key_faults(override.key_or_group, override.value(), config)
    if faults:
        raise GraphError(faults, "overrides")


def _key_faults(key: str, value: Any, config: DictConfig) -> list[Fault]:
    """A key whose beginning is not there: a typo, and OmegaConf would make a new branch of it."""
    parts = key.replace("]", "").replace("[", ".").split(".")
    node: Any = config
    for depth, part in enumerate(parts):
        if not isinstance(node, DictConfig):
            return []
        if part not in node:
            if _may_be_new(parts, depth):
                return []
            names = [str(name) for name in node]
            path = ".".join(parts[: depth + 1])
            return [Fault(path, "no such key", f"one of {listing(names)}", repr(value), nearest(part, names))]
        raw = node._get_node(part)
        node = raw if isinstance(raw, DictConfig) and not raw._is_interpolation() else None
    return []


def _may_be_new(parts: list[str], depth: int) -> bool:
    # Below a node that exists anything may be new: the graph's own checker names what is wrong there.
    if parts[0] == "model":
        return True
    return parts[0] == "graph" and depth >= 1 and parts[depth - 1] != "nodes"


def _missing(error: MissingConfigException) -> Fault:
    name = error.missing_cfg_file or ""
    group, _, choice = name.rpartition("/")
    where = str(error).split(":", 1)[0] if str(error).startswith("In '") else "defaults"
    options = list(error.options or [])
    expected = f"one of {listing(options)}" if options else ""
    return Fault(where, f"unknown {group or 'config'}", expected, repr(choice), nearest(choice, options))


def _first_lines(error: Exception) -> str:
    cause = error.__cause__ if not str(error) and error.__cause__ else error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    text = [line for line in lines if not line.startswith(("full_key:", "object_type=", "reference_type="))]
    return "; ".join(text[:2])
