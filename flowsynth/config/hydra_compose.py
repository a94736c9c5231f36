"""Composition with Hydra's defaults lists, groups and overrides, leaving no global state behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository, ConfigRepository
from hydra._internal.defaults_list import DefaultsList, create_defaults_list
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from flowsynth.config.folders import MAIN, Folders
from flowsynth.config.hydra_checks import check_groups, check_keys, choice_faults
from flowsynth.config.hydra_merge import merge_into, unfold_keys
from flowsynth.config.hydra_overrides import hydra_version, parse_overrides, require_jobs
from flowsynth.config.hydra_sources import GROUP, SETTINGS, sources
from flowsynth.config.hydra_sweep import jobs_of
from flowsynth.config.interpolation import mentions
from flowsynth.config.plugins import SAMPLER, SWEEPER
from flowsynth.config.resolvers import Path
from flowsynth.config.unread import Written
from flowsynth.core.errors import Fault, GraphError, RequestError, listing, nearest

#: Parts of the configuration where a key that the files do not mention may be set without ``+``.
OPEN_PARTS = (GROUP, "model")
EXPERIMENT = "experiment"


class Repository(ConfigRepository):  # type: ignore[misc]
    """A config repository over our own sources, without Hydra's registry of schemes."""

    def __init__(self, places: list[Folders]) -> None:
        self.sources = sources(places)


@dataclass(frozen=True, slots=True)
class Composed:
    """What files and overrides come to.

    Attributes:
        values: the configuration, interpolations not yet replaced.
        written: what the user asked for, each of which has to act.
        experiments: names of the experiments among it.
        mentions: the places that interpolations in the files name.
        choices: group -> what was chosen from it.
        defaults: the files that make it up, in order, each with its package.
        tree: which of them brings which along, as Hydra has it.
        layers: what each of them sets, where it stands in the whole; the later one wins.
        changes: what overrides set beyond choices: key and value, no value where one is deleted.
    """

    values: dict[str, Any]
    written: tuple[Written, ...]
    experiments: tuple[str, ...]
    mentions: frozenset[Path]
    choices: dict[str, str | None]
    defaults: tuple[tuple[str, str], ...]
    tree: Any
    layers: tuple[tuple[str, DictConfig], ...]
    changes: tuple[tuple[Path, Any], ...]


def compose_config(overrides: Sequence[str], places: list[Folders]) -> Composed:
    """The composed configuration, overrides applied, interpolations not yet resolved.

    Raises:
        RequestError: anything that the user got wrong.
    """
    with hydra_version():
        try:
            repository = CachingConfigRepository(Repository(places))
            return _compose(overrides, repository)
        except MissingConfigException as error:
            raise GraphError([_missing(error, repository)], "configuration") from None
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            if f"override '{SAMPLER}'" in str(error):
                fault = Fault(SAMPLER, "not used", f"{SWEEPER}=optuna beside it")
                raise GraphError([fault], "overrides") from None
            raise RequestError(f"configuration: {_first_lines(error)}") from None
        except RecursionError:
            raise RequestError("configuration: nested too deeply to be composed") from None
        except OSError as error:
            raise RequestError(
                f"configuration: {error.filename}: cannot be read ({error.strerror or error})"
            ) from None


def expand_sweep(overrides: Sequence[str], places: list[Folders]) -> list[list[str]]:
    """The overrides of every job of a sweep, the last key changing fastest.

    Raises:
        GraphError: an override that cannot be read.
    """
    with hydra_version():
        repository = Repository(places)
        parsed = parse_overrides(overrides, sweeping=True, options=repository)
        require_jobs(parsed)
        try:
            return jobs_of(parsed)
        except (HydraException, ValueError) as error:
            raise RequestError(f"--multirun: {_first_lines(error)}") from None


def _compose(lines: Sequence[str], repository: CachingConfigRepository) -> Composed:
    overrides = parse_overrides(lines, sweeping=False)
    check_groups(overrides, repository)
    found = create_defaults_list(
        repo=repository, config_name=MAIN, overrides_list=overrides, prepend_hydra=True, skip_missing=False
    )
    config, named, layers = OmegaConf.create(), set(), list[tuple[str, DictConfig]]()
    for default in found.defaults:
        loaded = repository.load_config(default.config_path)
        named |= mentions(OmegaConf.to_container(loaded.config, resolve=False))
        layers.append(
            (default.config_path, ConfigLoaderImpl._embed_result_config(loaded, default.package).config)
        )
        merge_into(config, layers[-1][1])
    OmegaConf.set_struct(config, True)
    for part in OPEN_PARTS:
        _open(config._get_node(part, validate_access=False))
    _open(OmegaConf.select(config, "hydra.sweeper.params"))
    unfold_keys(found.config_overrides, config)
    check_keys(found.config_overrides, config)
    ConfigLoaderImpl._apply_overrides_to_config(found.config_overrides, config)
    values: Any = OmegaConf.to_container(config, resolve=False)
    names = [d.config_path for d in found.defaults if str(d.config_path).startswith(f"{EXPERIMENT}/")]
    experiments = tuple(name.removeprefix(f"{EXPERIMENT}/") for name in names)
    written = tuple(_written(overrides, found, repository))
    choices = {str(group): name for group, name in found.overrides.known_choices.items()}
    defaults = tuple((str(d.config_path), str(d.package or "_global_")) for d in found.defaults)
    changes = tuple((_path(o), None if o.is_delete() else o.value()) for o in found.config_overrides)
    return Composed(
        values,
        written,
        experiments,
        frozenset(named),
        choices,
        defaults,
        found.defaults_tree,
        tuple(layers),
        changes,
    )


def _path(override: Override) -> Path:
    """Where an override sets its value."""
    return tuple(override.key_or_group.replace("]", "").replace("[", ".").split("."))


def _open(node: Any) -> None:
    """Let keys be added to a mapping."""
    if isinstance(node, DictConfig) and not node._is_interpolation():
        OmegaConf.set_struct(node, False)


def _written(
    overrides: list[Override], found: DefaultsList, repository: CachingConfigRepository
) -> Iterator[Written]:
    """What the user asked for: values in overrides, groups chosen by name, and what global files set."""
    for override in found.config_overrides:
        if not override.is_delete():
            yield Written("", _path(override), override.value())
    chosen = {o.key_or_group: o.value() for o in overrides if o not in found.config_overrides}
    faults = []
    for default in found.defaults:
        path, package = str(default.config_path), str(default.package or "")
        group, _, name = path.rpartition("/")
        if package and group in chosen and group != EXPERIMENT and not group.startswith("hydra/"):
            yield Written("", tuple(package.split(".")), chosen[group], whole=True)
        elif path != MAIN and not path.startswith("hydra/") and (not package or group == EXPERIMENT):
            where = f"conf/{path}.yaml: "
            if name.endswith(f".{SETTINGS}"):
                where = (
                    f"graphs/{path.removeprefix(f'{GROUP}/').removesuffix(f'.{SETTINGS}')}.yaml: {SETTINGS}."
                )
            values: Any = OmegaConf.to_container(repository.load_config(path).config, resolve=False)
            faults += choice_faults(where, values) if not package else []
            advice = "'# @package _global_' as the first line of the file" if package == EXPERIMENT else ""
            yield Written(where, tuple(package.split(".")) if package else (), values, advice=advice)
    if faults:
        raise GraphError(faults, "configuration")


def _missing(error: MissingConfigException, repository: CachingConfigRepository) -> Fault:
    name = error.missing_cfg_file or ""
    group, _, choice = name.rpartition("/")
    where = str(error).split(":", 1)[0] if str(error).startswith("In '") else "defaults"
    options = list(error.options or repository.get_group_options(group))
    expected = f"one of {listing(options)}" if options else ""
    return Fault(where, f"unknown {group or 'config'}", expected, repr(choice), nearest(choice, options))


def _first_lines(error: Exception) -> str:
    cause = error.__cause__ if not str(error) and error.__cause__ else error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    text = [line for line in lines if not line.startswith(("full_key:", "object_type=", "reference_type="))]
    return "; ".join(text[:2])
