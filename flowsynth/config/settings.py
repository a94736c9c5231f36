"""What a run is told besides its graph: where to write, what to keep, on what to compute."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from flowsynth.cache.location import default_cache_dir
from flowsynth.core.errors import Fault, GraphError, nearest

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)


def parse_size(value: Any) -> Any:
    """Bytes from a number or a text such as ``20GB`` (powers of 1024); other values as they are."""
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    return int(float(match[1]) * _UNITS[match[2].upper()]) if match else value


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CacheSettings(_Part):
    """The cache: where it is, and how large it may become."""

    dir: Path = Field(default_factory=default_cache_dir)
    max_bytes: Annotated[int, BeforeValidator(parse_size)] = Field(50 * 2**30, gt=0)


class Settings(_Part):
    """Everything about a run that is no part of a key."""

    output_dir: Path | None = None
    cache: CacheSettings = Field(default_factory=CacheSettings)
    executor: Literal["serial", "threads"] = "threads"
    device: str = "auto"
    offline: bool = False
    chunk: int = Field(16, ge=1, le=4096)
    workers: int | None = Field(None, ge=1, le=256)


def parse_settings(config: dict[str, Any]) -> Settings:
    """The settings in a composed configuration; a null stands for the default.

    Raises:
        GraphError: one fault a wrong value.
    """
    given = {name: config[name] for name in Settings.model_fields if config.get(name) is not None}
    if isinstance(given.get("cache"), dict):
        given["cache"] = {key: value for key, value in given["cache"].items() if value is not None}
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        raise GraphError([_fault(item) for item in error.errors()], "settings") from None


def _fault(item: Any) -> Fault:
    given, expected = item["input"], item["msg"].removeprefix("Input should be ")
    choices = re.findall(r"'(\w+)'", str(item.get("ctx", {}).get("expected", "")))
    path = ".".join(map(str, item["loc"]))
    return Fault(path, "wrong value", expected, repr(given)[:80], nearest(str(given), choices))
