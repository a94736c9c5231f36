"""One of each node: it says what the node is, and gives objects of its cache folder by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.cache.location import default_cache_dir
from flowsynth.cache.store import Cache
from flowsynth.core.errors import FlowsynthError, RequestError
from flowsynth.executors.ray.setup import Hello, Setup, adopt, introduction

if TYPE_CHECKING:
    import numpy as np


class Depot:
    """Serves the objects of a node's cache, to other nodes and to the driver.

    Args:
        setup: what it needs to know, as plain data.
    """

    def __init__(self, setup: dict[str, Any]) -> None:
        self._setup = Setup(**setup)
        adopt(self._setup)
        self._cache: Cache | None = None

    def hello(self) -> Hello | str:
        """What its node is; a text instead says why it can't be used."""
        try:
            folder, shared = chosen_folder(self._setup)
            self._cache = Cache(folder)
        except FlowsynthError as error:
            return str(error)
        return introduction(str(self._cache.root), shared)

    def read(self, name: str) -> np.ndarray[Any, Any] | None:
        """The bytes of an object's file; None where it is not here, or damaged."""
        return None if self._cache is None else object_array(self._cache, name)


def object_array(cache: Cache, name: str) -> np.ndarray[Any, Any] | None:
    """The bytes of an object's file, which travel without being copied; None where it is not there."""
    import numpy as np

    if cache.get_object(name) is None:  # which may have it from a place behind the cache
        return None
    view = cache.objects.file_bytes(name)
    return None if view is None else np.frombuffer(view, dtype=np.uint8)


def chosen_folder(setup: Setup) -> tuple[Path, bool]:
    """The cache folder of a node, and whether it is the driver's.

    Raises:
        RequestError: it should be, and is not seen from here.
    """
    root, own = Path(setup.root), default_cache_dir().expanduser().absolute()
    if setup.cache != "own" and is_seen(root, setup.nonce):
        return root, True
    if setup.cache == "shared":
        raise RequestError(
            f"ray.cache: the driver's cache {root} is not seen from there; expected a folder that all "
            "machines share, or ray.cache=own"
        )
    return own, is_seen(own, setup.nonce)


def is_seen(root: Path, nonce: str) -> bool:
    """Whether a folder is the driver's."""
    return (root / "tmp" / nonce).is_file()
