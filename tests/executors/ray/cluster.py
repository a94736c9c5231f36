"""A Ray cluster of two nodes on loopback, each with a cache folder of its own."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: Neither tells its makers of the start, nor writes a token into the home folder.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AUTH_MODE", "token")
os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


class TwoNodes:
    """The cluster.

    Attributes:
        address: of its head.
        folders: the caches of its nodes.
    """

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        self.folder = folder
        self.folders: list[Path] = []
        head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 80 << 20}
        self._cluster: Any = Cluster(True, head_node_args={**head, "env_vars": self._environment()})
        self.nodes: list[Any] = []
        self.add()
        self.address = str(self._cluster.address)

    def _environment(self) -> dict[str, str]:
        self.folders.append(self.folder / f"node-{len(self.folders)}")
        return {"FLOWSYNTH_CACHE": str(self.folders[-1])}

    def add(self) -> None:
        """One more node."""
        made = self._cluster.add_node(num_cpus=1, object_store_memory=80 << 20, env_vars=self._environment())
        self.nodes.append(made)

    def kill(self) -> None:
        """End the last node that was added, all of a sudden, with its workers."""
        node = self.nodes.pop()
        self._cluster.remove_node(node, allow_graceful=False)

    def close(self) -> None:
        """End it."""
        self._cluster.shutdown()


@contextmanager
def two_nodes(folder: Path) -> Iterator[TwoNodes]:
    """The cluster, while it is needed."""
    made = TwoNodes(folder)
    try:
        yield made
    finally:
        made.close()
