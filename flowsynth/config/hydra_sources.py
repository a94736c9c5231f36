"""Hydra config sources of ours: ``graphs://`` serves the group `graph`, ``conf://`` all other groups.

They are handed to a repository of our own and never registered, so no other Hydra application in the
process or the environment sees them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from flowsynth.config.folders import MAIN, Folders
from flowsynth.config.hydra_stubs import StubSource
from flowsynth.config.interpolation import MAX_INTERPOLATIONS, most_interpolations
from flowsynth.core.errors import Fault, GraphError, InputError
from flowsynth.core.yaml_text import load_yaml

GROUP = "graph"
#: The key of a graph file that holds values for the top of the configuration, such as its own prompt.
SETTINGS = "settings"
_SUFFIX = f".{SETTINGS}"


#: Of a configuration: what people write has kilobytes.
MAX_BYTES = 16 * 2**20


class FolderSource(ConfigSource):  # type: ignore[misc]
    """Serves the YAML files below a folder."""

    def __init__(self, provider: str, folder: Path) -> None:
        super().__init__(provider, f"{self.scheme()}://{folder.as_posix()}")
        self.folder = folder
        self._data: dict[Path, tuple[dict[str, Any], dict[str, Any]]] = {}

    @staticmethod
    def scheme() -> str:
        """The scheme in Hydra's own messages."""
        return "conf"

    def available(self) -> bool:
        """A missing folder is one without files."""
        return True

    def is_group(self, config_path: str) -> bool:
        """Whether the folder of a group exists."""
        path = self._path(config_path)
        return path is not None and path.is_dir()

    def is_config(self, config_path: str) -> bool:
        """Whether the file of a config exists."""
        return self._file(config_path) is not None

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Names in a group, without suffix."""
        folder = self._path(config_path)
        if folder is None or not folder.is_dir():
            return []
        groups = {path.name for path in folder.iterdir() if path.is_dir()}
        configs = {path.stem for path in folder.glob("*.yaml") if path.is_file()} - {MAIN}
        wanted = {ObjectType.GROUP: groups, ObjectType.CONFIG: configs}
        return sorted(groups | configs if results_filter is None else wanted[results_filter])

    def load_config(self, config_path: str) -> ConfigResult:
        """The config of a file, with Hydra's header lines read."""
        file = self._file(config_path)
        if file is None:
            raise InputError(f"{config_path}: no such configuration below {self.folder}")
        data, header = self._read(file)
        try:
            config = OmegaConf.create(self._served(config_path, file, data))
        except (OmegaConfBaseException, RecursionError) as error:
            fault = Fault(str(file), "cannot be interpolated", "${KEY}", str(error).partition("\n")[0])
            raise GraphError([fault], "YAML") from None
        return ConfigResult(self.provider, self.full_path(), config, dict(header))

    def _served(self, config_path: str, file: Path, data: dict[str, Any]) -> dict[str, Any]:
        """What of a file's content is the config of that name."""
        del config_path, file
        return data

    def _path(self, config_path: str) -> Path | None:
        # Only the text is normalised: a link in the folder may point wherever its owner likes.
        path = Path(os.path.normpath(self.folder / config_path))
        return path if path.is_relative_to(self.folder) else None

    def _file(self, config_path: str) -> Path | None:
        path = self._path(config_path.removesuffix(".yaml") + ".yaml")
        return path if path is not None and path.is_file() else None

    def _read(self, file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        if file not in self._data:
            self._data[file] = _mapping_of(file)
        return self._data[file]


class ConfSource(FolderSource):
    """Serves a ``conf`` folder; the primary config only from what is shipped, and of Hydra's groups none."""

    def _path(self, config_path: str) -> Path | None:
        return None if config_path.partition("/")[0] == "hydra" else super()._path(config_path)

    def _file(self, config_path: str) -> Path | None:
        if config_path.removesuffix(".yaml") == MAIN and self.provider != "shipped":
            return None
        return super()._file(config_path)


class GraphSource(FolderSource):
    """Serves ``graphs/NAME.yaml`` as ``graph/NAME``.

    The `settings` of a graph file become a config of their own at the top of the configuration, merged
    just before the graph, so that a graph brings its own prompt or clip and an override still wins.
    """

    @staticmethod
    def scheme() -> str:
        """The scheme in Hydra's own messages."""
        return "graphs"

    def _served(self, config_path: str, file: Path, data: dict[str, Any]) -> dict[str, Any]:
        """A graph, or the settings that it brings."""
        name = config_path.removesuffix(".yaml")
        if name.endswith(_SUFFIX):
            return _settings(data, file)
        if "/" not in name.removeprefix(f"{GROUP}/"):
            data = {"name": Path(name).name, **data}
            if data.pop(SETTINGS, None):
                defaults = data.get("defaults", ["_self_"])
                data["defaults"] = [f"{Path(name).name}{_SUFFIX}@_global_", *defaults]
        return data

    def _path(self, config_path: str) -> Path | None:
        first, _, rest = config_path.partition("/")
        return super()._path(rest) if first == GROUP else None

    def _file(self, config_path: str) -> Path | None:
        if not config_path.startswith(f"{GROUP}/"):
            return None
        return super()._file(config_path.removesuffix(".yaml").removesuffix(_SUFFIX))


def sources(places: list[Folders]) -> list[ConfigSource]:
    """The sources of a search path; the last place is the shipped one, and then what there is of Hydra's.

    Raises:
        GraphError: a primary config of the user's own, which would not be read.
    """
    _only_ours([place.conf / f"{MAIN}.yaml" for place in places])
    found: list[ConfigSource] = []
    for place in places:
        provider = "shipped" if place is places[-1] else "user"
        found += [ConfSource(provider, place.conf), GraphSource(provider, place.graphs)]
    return [*found, StubSource()]


def _only_ours(mains: Sequence[Path]) -> None:
    """See that no primary config but ours lies about; a copy of it (another checkout) does no harm."""
    for file in mains[:-1]:
        if file.is_file() and file.read_bytes() != mains[-1].read_bytes():
            expected = "conf/experiment/NAME.yaml and experiment=NAME, or KEY=VALUE"
            raise GraphError(
                [Fault(str(file), "the primary configuration is the shipped one", expected)], "configuration"
            )


def _settings(data: dict[str, Any], file: Path) -> dict[str, Any]:
    settings = data.get(SETTINGS)
    if not isinstance(settings, dict):
        raise GraphError([Fault(SETTINGS, "not a mapping", "a mapping", repr(settings)[:80])], str(file))
    return settings


def _mapping_of(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        if (size := file.stat().st_size) > MAX_BYTES:
            raise InputError(f"{file}: too large; expected at most {MAX_BYTES} bytes; given {size}")
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read; expected YAML in UTF-8; given {error}") from None
    data = load_yaml(text, str(file))
    if data is None:
        data = {}
    if not isinstance(data, dict):
        given = "a list" if isinstance(data, list) else repr(data)[:80]
        raise GraphError([Fault(str(file), "not a mapping", "a mapping of names to values", given)], "YAML")
    if longest := most_interpolations(data):
        expected = f"at most {MAX_INTERPOLATIONS} in one text"
        raise GraphError([Fault(str(file), "too many interpolations", expected, longest[:80])], "YAML")
    try:
        header = ConfigSource._get_header_dict(text)
    except ValueError as error:
        raise GraphError([Fault(str(file), "bad header", "# @package NAME", str(error))], "YAML") from None
    return data, header
