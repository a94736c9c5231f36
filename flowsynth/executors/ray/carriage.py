"""Where objects are, and how they come to who reads them: by hash, checked when they land."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from flowsynth.cache.errors import FormatError
from flowsynth.cache.store import Cache
from flowsynth.core.refs import objects_of
from flowsynth.executors.order import Order, Outcome
from flowsynth.executors.ray.bench import Origin, fetched
from flowsynth.executors.ray.cluster import Cluster, Node
from flowsynth.executors.ray.depot import object_array
from flowsynth.executors.results import worth_storing


class Carriage:
    """Knows which node has which object. Safe for threads.

    Nodes that share the driver's folder count as the driver: what is there is there for all of them.

    Args:
        cache: the driver's.
        cluster: the nodes.
    """

    def __init__(self, cache: Cache, cluster: Cluster) -> None:
        self._cache, self._cluster = cache, cluster
        self._where: dict[str, set[str]] = {}
        self._lock = threading.Lock()

    def origins(self, node: Node, order: Order) -> dict[str, Origin]:
        """Where the objects come from that an order reads and its node has not got."""
        if node.hello.shared:
            for name in order.objects():
                if not self._cache.has_object(name):
                    self.bring_here([name])
            return {}
        found: dict[str, Origin] = {}
        for name in order.objects():
            if node.id in self._holders(name):
                continue
            origin = self._origin(name)
            if origin is not None:
                found[name] = origin
                self._add(name, node)
        return found

    def again(self, node: Node, missing: Iterable[str], *, first: bool) -> bool:
        """Whether all that a node found missing may be had from elsewhere, once it is known not to be there.

        Args:
            node: the node.
            missing: names of objects.
            first: other nodes are asked the first time; if that was of no use, the driver only.
        """
        names = list(missing)
        with self._lock:
            for name in names:
                holders = self._where.get(name, set())
                holders.difference_update([node.id] if first else list(holders))
        return not node.hello.shared and all(self._origin(name) is not None for name in names)

    def made(self, node: Node, order: Order, outcome: Outcome) -> bool:
        """Note what an order gave, and fetch what the cache should keep; False where it is gone already."""
        names = [name for ref in outcome.refs.values() for name in objects_of(ref)]
        if node.hello.shared:
            return True
        for name in names:
            self._add(name, node)
        if not worth_storing(order.keep, outcome.refs, outcome.seconds):
            return True
        return self.bring_here(names)

    def bring_here(self, names: Iterable[str]) -> bool:
        """Have objects in the driver's cache; whether all are, or it has no room for them."""
        return False not in [self._brought(name) for name in names]

    def forget(self, node: Node) -> None:
        """A node is gone, with all that it had."""
        with self._lock:
            for holders in self._where.values():
                holders.discard(node.id)

    def _brought(self, name: str) -> bool:
        if self._cache.has_object(name):
            return True
        for node in self._nodes(name):
            found = fetched(node.depot, name)
            if found is None:
                continue
            try:
                self._cache.take_in(name, memoryview(found).cast("B"))
                return True
            except FormatError:
                continue
        return False

    def _origin(self, name: str) -> Origin:
        nodes = self._nodes(name)
        if nodes:
            return nodes[0].depot
        return object_array(self._cache, name)

    def _nodes(self, name: str) -> list[Node]:
        known: dict[str, Any] = self._cluster.nodes
        return [known[id_] for id_ in sorted(self._holders(name)) if id_ in known and known[id_].alive]

    def _holders(self, name: str) -> set[str]:
        with self._lock:
            return set(self._where.get(name, ()))

    def _add(self, name: str, node: Node) -> None:
        with self._lock:
            self._where.setdefault(name, set()).add(node.id)
