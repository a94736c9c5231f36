"""What a run is told besides its graph: where to write, what to keep, on what to compute."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flowsynth.cache.location import default_cache_dir
from flowsynth.core.errors import Fault, GraphError, RequestError
from flowsynth.core.options import (
    Chunk,
    Device,
    Executor,
    Folder,
    Keep,
    Money,
    RayAddress,
    RayCache,
    Remote,
    RunOptions,
    Size,
    Workers,
    parse_folder,
)
from flowsynth.core.rules import Rule
from flowsynth.core.streams import DEFAULT_CHUNK
from flowsynth.core.validation import faults_of


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CacheSettings(_Part):
    """The cache: where it is, how large it may become, what it keeps, and a place behind it."""

    dir: Folder = Field(default_factory=default_cache_dir)
    max_bytes: Size = 50 * 2**30
    remote: Remote | None = None
    keep: Keep = "costly"


class RaySettings(_Part):
    """The cluster of ``executor=ray``."""

    address: RayAddress = "local"
    cache: RayCache = "auto"


class PlacementSettings(_Part):
    """The group ``placement``: where nodes run that leave it to the run."""

    rules: tuple[Rule, ...] = ()


class RecordSettings(_Part):
    """A tracker of experiments that is told of runs, beside ``run.json``."""

    sink: Literal["trackio"] | None = None
    project: str | None = None


class Settings(_Part):
    """Everything about a run that is no part of a key."""

    output_dir: Folder | None = None
    cache: CacheSettings = Field(default_factory=CacheSettings)
    executor: Executor = "threads"
    device: Device = "auto"
    offline: bool = False
    chunk: Chunk = DEFAULT_CHUNK
    max_cost: Money = 0.0
    workers: Workers | None = None
    previews: bool = True
    report: bool = False
    record: RecordSettings = Field(default_factory=RecordSettings)
    ray: RaySettings = Field(default_factory=RaySettings)
    placement: PlacementSettings = Field(default_factory=PlacementSettings)

    def run_options(self, *, debug: bool = False) -> RunOptions:
        """The options of a run with these settings."""
        return RunOptions(
            cache_dir=self.cache.dir,
            max_bytes=self.cache.max_bytes,
            remote=self.cache.remote,
            keep=self.cache.keep,
            device=self.device,
            offline=self.offline,
            executor=self.executor,
            workers=self.workers,
            ray_address=self.ray.address,
            ray_cache=self.ray.cache,
            chunk=self.chunk,
            max_cost=self.max_cost,
            previews=self.previews,
            debug=debug,
        )


def parse_settings(config: dict[str, Any]) -> Settings:
    """The settings in a composed configuration; a null stands for the default.

    Raises:
        GraphError: one fault a wrong value.
    """
    given = {name: config[name] for name in Settings.model_fields if config.get(name) is not None}
    for part in ("cache", "ray", "record"):
        if isinstance(given.get(part), dict):
            given[part] = {key: value for key, value in given[part].items() if value is not None}
    try:
        settings = Settings.model_validate(given)
        _require_read(given, settings)
        return settings
    except ValidationError as error:
        raise GraphError(faults_of(error, given, "", Settings.model_fields, "setting"), "settings") from None


def _require_read(given: dict[str, Any], settings: Settings) -> None:
    """See that no setting is given that this run does not read.

    Raises:
        GraphError: one is.
    """
    faults = []
    if settings.executor != "ray" and isinstance(given.get("ray"), dict):
        faults = [
            Fault(f"ray.{name}", "only read with executor=ray", "that, or nothing", repr(value))
            for name, value in given["ray"].items()
        ]
    if settings.record.sink is None and settings.record.project is not None:
        expected, project = "that, or nothing", repr(settings.record.project)
        faults.append(Fault("record.project", "only read with record.sink=NAME", expected, project))
    if faults:
        raise GraphError(faults, "settings")


def cache_folder(given: str | None) -> Path:
    """The cache's folder as a command line names it; the user's own where it names none.

    Raises:
        RequestError: a text that cannot be a folder.
    """
    try:
        folder = default_cache_dir() if given is None else parse_folder(given)
    except ValueError as error:
        raise RequestError(f"cache.dir: {error}; given {given!r}") from None
    return Path(folder).absolute()
