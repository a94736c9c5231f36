"""What a run is told besides its graph: where to write, what to keep, on what to compute."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from flowsynth.cache.location import default_cache_dir
from flowsynth.core.errors import GraphError, RequestError, did_you_mean
from flowsynth.core.graph import DEVICE
from flowsynth.core.validation import faults_of

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}
_DEVICES = ("auto", "cpu", "cuda", "mps", "cuda:0", "sim:0")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGTP]?)(?:i?B)?", re.IGNORECASE)


def parse_size(value: Any) -> Any:
    """Bytes from a number or a text such as ``20GB`` (powers of 1024); values that are no text as they are.

    Raises:
        ValueError: a text that is no size.
    """
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value.strip())
    if match is None or len(match[1]) > 30:
        raise ValueError("expected bytes, or a size in K, M, G, T or P such as 20GB")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def parse_folder(value: Any) -> Any:
    """The path of a folder, ``~`` expanded; values that are no text as they are.

    Raises:
        ValueError: a text that cannot be one.
    """
    if not isinstance(value, str):
        return value
    if not value.strip() or "\0" in value:
        raise ValueError("expected the path of a folder")
    try:
        return Path(value).expanduser()
    except RuntimeError:
        user = value.partition("/")[0]
        raise ValueError(f"expected the path of a folder; there is no user {user}") from None


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


def _device(value: Any) -> Any:
    if isinstance(value, str) and not DEVICE.fullmatch(value):
        raise ValueError(f"expected auto, cpu, cuda, cuda:N, mps or sim:N{did_you_mean(value, _DEVICES)}")
    return value


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CacheSettings(_Part):
    """The cache: where it is, and how large it may become."""

    dir: Annotated[Path, BeforeValidator(parse_folder)] = Field(default_factory=default_cache_dir)
    max_bytes: Annotated[int, BeforeValidator(parse_size)] = Field(50 * 2**30, gt=0)


class Settings(_Part):
    """Everything about a run that is no part of a key."""

    output_dir: Annotated[Path | None, BeforeValidator(parse_folder)] = None
    cache: CacheSettings = Field(default_factory=CacheSettings)
    executor: Literal["serial", "threads"] = "threads"
    device: Annotated[str, BeforeValidator(_device)] = "auto"
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
        raise GraphError(faults_of(error, given, "", Settings.model_fields, "setting"), "settings") from None
