"""A config source for the part ``hydra`` of the configuration, in which no plugin is imported."""

from __future__ import annotations

from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import OmegaConf

from flowsynth.config.plugins import REFUSED, stubs


class StubSource(ConfigSource):  # type: ignore[misc]
    """Serves ``hydra/config`` and the groups of launchers, sweepers and samplers from memory."""

    def __init__(self) -> None:
        super().__init__("hydra", f"{self.scheme()}://")
        self._configs = stubs()

    @staticmethod
    def scheme() -> str:
        """The scheme in Hydra's own messages."""
        return "stubs"

    def available(self) -> bool:
        """It always is."""
        return True

    def is_group(self, config_path: str) -> bool:
        """Whether any config lies below."""
        return any(name.startswith(f"{config_path}/") for name in self._configs)

    def is_config(self, config_path: str) -> bool:
        """Whether it is one of ours."""
        return config_path.removesuffix(".yaml") in self._configs

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Names in a group, but for those that are there only to be refused."""
        below = [name for name in self._configs if name.rpartition("/")[0] == config_path]
        names = {name.rpartition("/")[2] for name in below}
        return [] if results_filter is ObjectType.GROUP else sorted(names - {*REFUSED.get(config_path, ())})

    def load_config(self, config_path: str) -> ConfigResult:
        """A copy of it."""
        config = OmegaConf.create(self._configs[config_path.removesuffix(".yaml")])
        return ConfigResult(self.provider, self.path, config, {"package": None})
