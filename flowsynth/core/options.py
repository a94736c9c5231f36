"""How a run is done: one set of options for Python and the command line, checked once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from flowsynth.core.address import parse_remote
from flowsynth.core.checks import DEVICE, DEVICES
from flowsynth.core.errors import GraphError, did_you_mean
from flowsynth.core.streams import DEFAULT_CHUNK
from flowsynth.core.validation import faults_of

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50, "E": 2**60}
_DEVICES = ("auto", "cpu", "cuda", "mps", "cuda:0", "sim:0", "gpu", "gpu_24g")
_ADDRESS = re.compile(r"local|auto|(ray://)?(\[[0-9a-fA-F:]+\]|[\w.\-]+):\d{1,5}")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGTPE]?)(?:i?B)?", re.IGNORECASE)


def parse_size(value: Any) -> Any:
    """Bytes from a number or a text such as ``20GB`` (powers of 1024); values that are no text as they are.

    Raises:
        ValueError: a text that is no size.
    """
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value.strip())
    if match is None or len(match[1]) > 30:
        raise ValueError("expected bytes, or a size in K, M, G, T, P or E such as 20GB")
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


def parse_device(value: Any) -> Any:
    """The name of a device, or of a class of them.

    Raises:
        ValueError: a text that is none.
    """
    if isinstance(value, str) and not DEVICE.fullmatch(value):
        raise ValueError(f"expected {DEVICES}{did_you_mean(value, _DEVICES)}")
    return value


def parse_address(value: Any) -> Any:
    """The address of a Ray cluster.

    Raises:
        ValueError: a text that is none.
    """
    if isinstance(value, str) and not _ADDRESS.fullmatch(value):
        raise ValueError("expected local, auto, HOST:PORT or ray://HOST:PORT")
    return value


def _no_flag(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number")
    return value


_Count = BeforeValidator(_no_flag)
Executor = Literal["serial", "threads", "ray"]
#: What nodes with ``cache: auto`` keep.
Keep = Literal["costly", "all", "outputs"]
#: Where workers of a cluster keep objects.
RayCache = Literal["auto", "shared", "own"]
#: ``auto``, a device such as ``cuda:0``, or a class of them.
Device = Annotated[str, BeforeValidator(parse_device)]
#: The path of a folder, with ``~`` expanded.
Folder = Annotated[Path, BeforeValidator(parse_folder)]
#: Frames in a chunk of a stream.
Chunk = Annotated[int, _Count, Field(ge=1, le=4096)]
#: Threads that compute on the CPU.
Workers = Annotated[int, _Count, Field(ge=1, le=256)]
#: The address of a place behind the cache that other machines use, too.
Remote = Annotated[str, BeforeValidator(parse_remote)]
#: Of a Ray cluster.
RayAddress = Annotated[str, BeforeValidator(parse_address)]
#: Bytes, or a text such as ``20GB``.
Size = Annotated[int, _Count, BeforeValidator(parse_size), Field(gt=0)]


#: US dollars.
Money = Annotated[float, _Count, Field(ge=0, allow_inf_nan=False)]


class RunOptions(BaseModel):
    """Everything about a run that is no part of a key.

    Attributes:
        cache_dir: the cache's folder; the per-user one unless given.
        max_bytes: budget of the cache's objects, in bytes or as ``20GB``; None for no limit.
        remote: address of a place behind the cache that other machines use, too: ``s3://BUCKET/FOLDER``,
            ``gs://BUCKET/FOLDER`` or ``file:///FOLDER``.
        keep: what of nodes with ``cache: auto`` is kept: what is ``costly`` to make for its size, ``all``,
            or only what the run delivers (``outputs``).
        model_bytes: budget of the loaded models of a device; None for 80 % of a CUDA device, half the memory
            else.
        device: what ``auto`` means.
        offline: never touch the network.
        executor: ``serial``, ``threads`` for a worker on every device and one for reading files, or ``ray``
            for one on every device of every node of a Ray cluster.
        workers: how many compute on the CPU, for ``threads``, and for ``ray`` at each node; a quarter of the
            cores unless given.
        ray_address: with ``ray``: ``local`` for a cluster on this machine that ends with the session,
            ``auto`` for a running one or else that, ``HOST:PORT`` or ``ray://HOST:PORT``.
        ray_cache: with ``ray``: workers keep objects in the ``shared`` folder of the driver, in one of their
            ``own`` (FLOWSYNTH_CACHE there, or the user's), or ``auto``: as they see the driver's or not.
        chunk: frames in a chunk of a stream.
        max_cost: US dollars that hosted models may cost, of a whole sweep too; more is refused before
            anything is sent.
        previews: keep a strip of small pictures of every clip that a node makes, for reports: a hundredth of
            the run's time at most.
        debug: keep tracebacks in error messages.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cache_dir: Folder | None = None
    max_bytes: Size | None = None
    remote: Remote | None = None
    keep: Keep = "costly"
    model_bytes: Size | None = None
    device: Device = "auto"
    offline: bool = False
    executor: Executor = "serial"
    workers: Workers | None = None
    ray_address: RayAddress = "local"
    ray_cache: RayCache = "auto"
    chunk: Chunk = DEFAULT_CHUNK
    max_cost: Money = 0.0
    previews: bool = True
    debug: bool = False

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> RunOptions:
        """The options that were given by name.

        Raises:
            GraphError: every wrong one at once.
        """
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise GraphError(faults_of(error, given, "", cls.model_fields, "option"), "options") from None


#: Options that are a session's own: what runs in an open session cannot choose them.
SESSION_OPTIONS = (
    "cache_dir",
    "max_bytes",
    "remote",
    "model_bytes",
    "device",
    "offline",
    "ray_address",
    "ray_cache",
)


class GivenOptions(TypedDict, total=False):
    """The options of a run as keyword arguments; see `RunOptions`."""

    cache_dir: Path | str | None
    max_bytes: int | str | None
    remote: str | None
    keep: str
    model_bytes: int | str | None
    device: str
    offline: bool
    executor: str
    workers: int | None
    ray_address: str
    ray_cache: str
    chunk: int
    max_cost: float
    previews: bool
    debug: bool
