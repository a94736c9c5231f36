"""Hydra's own machinery for one sweep: a config loader of ours, and of all plugins only those asked for."""

from __future__ import annotations

import copy
import importlib
import inspect
import logging
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins, _is_concrete_plugin_type
from hydra.core.singleton import Singleton
from hydra.core.utils import JobRuntime
from hydra.plugins.config_source import ConfigSource
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.basecontainer import BaseContainer

#: Where the job of a config stands, beside Hydra's own part.
JOB = "flowsynth"
_CORE = "hydra._internal.core_plugins"
_SCAN = inspect.getattr_static(Plugins, "_scan_all_plugins").__func__


class Loader(ConfigLoader):  # type: ignore[misc]
    """Gives launchers the config of a job: Hydra's part of the sweep's, and the job's number and overrides.

    A graph is composed where the job runs, from the same overrides by the same code as without a launcher.

    Args:
        packages: the plugins in use; where the loader arrives in another process, no other is imported.
    """

    def __init__(self, packages: Sequence[str]) -> None:
        self.packages = tuple(packages)

    def __reduce__(self) -> tuple[Any, ...]:
        """How it is pickled."""
        return _arrived, (self.packages,)

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """The config of a job, whose number comes before its overrides."""
        number, *overrides = sweep_overrides
        config = copy.deepcopy(master_config)
        with open_dict(config):
            config[JOB] = {
                "number": int(number),
                "overrides": [text.replace("${", r"\${") for text in overrides],
            }
            config.hydra.overrides.task = []
        return config

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """Hydra's own configuration, with the choices made in its groups."""
        del from_shell, validate_sweep_overrides
        path = ConfigSearchPathImpl()
        path.append("hydra", "pkg://hydra.conf")
        path.append("schema", "structured://")
        loader = ConfigLoaderImpl(path)
        config: DictConfig = loader.load_configuration(config_name, overrides, run_mode, from_shell=False)
        return config

    def get_search_path(self) -> ConfigSearchPath:
        """Nothing is searched for beside what Hydra brings."""
        return ConfigSearchPathImpl()

    def get_sources(self) -> list[ConfigSource]:
        """None."""
        return []

    def list_groups(self, parent_name: str) -> list[str]:
        """None: overrides are read before they get here."""
        del parent_name
        return []

    def get_group_options(
        self,
        group_name: str,
        results_filter: ObjectType | None = ObjectType.CONFIG,
        config_name: str | None = None,
        overrides: list[str] | None = None,
    ) -> list[str]:
        """None: overrides are read before they get here."""
        del group_name, results_filter, config_name, overrides
        return []

    def compute_defaults_list(self, config_name: str | None, overrides: list[str], run_mode: RunMode) -> Any:
        """Nobody asks."""
        raise NotImplementedError


def _arrived(packages: tuple[str, ...]) -> Loader:
    narrow(packages)
    return Loader(packages)


def job_of(config: DictConfig) -> tuple[int, list[str]]:
    """The number and the overrides of the job that a task is called with."""
    job: Any = OmegaConf.to_container(config[JOB], resolve=False)
    return int(job["number"]), [text.replace(r"\${", "${") for text in job["overrides"]]


def narrow(packages: Sequence[str]) -> None:
    """Have Hydra import only some of the plugins that are installed: a broken one breaks every scan."""

    def scan(modules: list[Any]) -> Any:
        del modules
        chosen = [importlib.import_module(name) for name in (_CORE, *packages)]
        found, stats = _SCAN(modules=chosen)
        own = [cls for module in chosen for _, cls in inspect.getmembers(module, _is_concrete_plugin_type)]
        return [*found, *own], stats

    Plugins._scan_all_plugins = staticmethod(scan)


@contextmanager
def own_state(packages: Sequence[str]) -> Iterator[None]:
    """Hydra's state in this process for one sweep, then as it was for whatever else here uses Hydra.

    Raises:
        ImportError: a plugin cannot be imported; whatever else it raises when it is.
    """
    log = logging.getLogger("hydra_plugins")
    level = log.level
    log.setLevel(logging.CRITICAL)  # what they have to say is in rows and messages of ours
    instances, resolvers = dict(Singleton._instances), dict(BaseContainer._resolvers)
    ray = "ray" in sys.modules and sys.modules["ray"].is_initialized()
    Singleton._instances.pop(Plugins, None)
    narrow(packages)
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            Plugins.instance()
        for warning in told:
            if "Error importing" in str(warning.message):
                raise ImportError(str(warning.message).strip().splitlines()[-1].strip())
        JobRuntime.instance().set("name", "flowsynth")
        yield
    finally:
        log.setLevel(level)
        Plugins._scan_all_plugins = staticmethod(_SCAN)
        Singleton._instances.clear()
        Singleton._instances.update(instances)
        BaseContainer._resolvers = resolvers
        if "ray" in sys.modules and not ray:
            sys.modules["ray"].shutdown()


def set_options(node: DictConfig, options: Mapping[str, Any]) -> None:
    """Set options of a plugin, which Hydra's own types of them check.

    Raises:
        OmegaConfBaseException: an option that the installed version has not, or a value of another type.
    """
    for key, value in options.items():
        if isinstance(value, Mapping) and isinstance(node.get(key), DictConfig):
            set_options(node[key], value)
        elif OmegaConf.get_type(node) is dict:
            with open_dict(node):
                node[key] = value
        else:
            node[key] = value
