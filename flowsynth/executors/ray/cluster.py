"""A connection to Ray, and what its nodes say of themselves."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flowsynth.cache.platform import temp_name
from flowsynth.core.devices import Facts
from flowsynth.core.errors import RequestError, RunError
from flowsynth.executors.ray.depot import Depot
from flowsynth.executors.ray.setup import (
    CacheChoice,
    Hello,
    Setup,
    environment,
    plain,
    require_alike,
    specs_of,
)
from flowsynth.planning.placement import DeviceSpec

#: How long a node may take to say what it is, in seconds: a process is started for it.
HELLO_SECONDS = 120.0


@dataclass(eq=False, slots=True)
class Node:
    """A node that takes part.

    Attributes:
        id: Ray's name of it.
        address: its machine's, for messages.
        cpus: how many Ray may use.
        depot: gives its objects.
        hello: what it said of itself.
        alive: it has not been found to be gone.
    """

    id: str
    address: str
    cpus: int
    depot: Any
    hello: Hello
    alive: bool = True


@dataclass(eq=False, slots=True)
class Cluster:
    """Ray's nodes, for as long as a session is open.

    Attributes:
        address: ``local`` for one on this machine, ``auto`` for a running one or else that, or Ray's address.
        setup: what workers need to know.
        nodes: those that take part, by Ray's names.
    """

    address: str
    setup: Setup
    nodes: dict[str, Node] = field(default_factory=dict)
    _own: bool = False
    _environment: set[str] = field(default_factory=set)
    _known: set[str] = field(default_factory=set)
    _nonce: Path | None = None

    @classmethod
    def of(
        cls,
        address: str,
        cache: CacheChoice,
        root: Path,
        *,
        offline: bool,
        max_bytes: int | None,
        model_bytes: int | None,
        debug: bool = False,
    ) -> Cluster:
        """A cluster to connect to.

        Args:
            address: see the attribute.
            cache: where workers keep objects.
            root: the driver's cache folder.
            offline: workers never touch the network.
            max_bytes: budget of objects in folders of their own.
            model_bytes: budget of loaded models.
            debug: keep tracebacks.
        """
        nonce = temp_name()
        setup = Setup(str(root), nonce, cache, offline, max_bytes, model_bytes, 1, debug, environment())
        return cls(address, setup, _nonce=root / "tmp" / nonce)

    def connect(self) -> None:
        """Connect, start a cluster if need be, and hear what the nodes say of themselves; once.

        Raises:
            RequestError: ray is not installed, nothing answers there, or nodes differ from each other or from
                this process.
        """
        if self.nodes:
            return
        ray = imported_ray()
        if not ray.is_initialized():
            self._begin(ray)
        if self._nonce is not None:
            self._nonce.touch()
        try:
            self.look_for_nodes(HELLO_SECONDS)
        except BaseException:
            self.close()
            raise

    def _begin(self, ray: Any) -> None:
        self._own = True
        self._set(RAY_USAGE_STATS_ENABLED="0")  # it would tell its makers of every start
        given = {"log_to_driver": self.setup.debug, "logging_level": "error"}
        try:
            if self.address != "local":
                with suppress(*([ConnectionError] if self.address == "auto" else [])):
                    ray.init(address=self.address, **given)
                    return
            ray.init(address="local", include_dashboard=False, **given)
        except (ConnectionError, RuntimeError, ValueError, OSError, ray.exceptions.RayError) as error:
            self._own = False
            first = str(error).strip().partition("\n")[0]
            if self.address == "local":
                raise RunError(f"ray: no cluster can be started here ({first})") from error
            raise RequestError(
                f"ray.address: no cluster there ({first}); expected local, auto, HOST:PORT or ray://HOST:PORT;"
                f" given {self.address!r}"
            ) from error

    def _set(self, **variables: str) -> None:
        """Set what the environment does not say, until this is closed."""
        for name, value in variables.items():
            if name not in os.environ:
                self._environment.add(name)
                os.environ[name] = value

    def look_for_nodes(self, seconds: float = HELLO_SECONDS) -> list[Node]:
        """Nodes that joined since; those that are gone are marked.

        Raises:
            RequestError: a new one differs, and no other takes part: later ones are left out with a warning.
        """
        ray = imported_ray()
        listed = {node["NodeID"]: node for node in ray.nodes() if node["Alive"]}
        for name, node in self.nodes.items():
            node.alive = name in listed
        fresh = [node for name, node in listed.items() if name not in self._known]
        self._known.update(node["NodeID"] for node in fresh)
        depots = [(node, self._depot(ray, node["NodeID"])) for node in fresh]
        asked = [(node, depot, depot.hello.remote()) for node, depot in depots]
        begun = time.monotonic()
        found = [
            made
            for node, depot, answer in asked
            if (made := self._greeted(ray, node, depot, answer, seconds - (time.monotonic() - begun)))
        ]
        require_alike({node.address: node.hello for node in [*self.nodes.values(), *found]})
        self.nodes.update({node.id: node for node in found})
        return found

    def _depot(self, ray: Any, node: str) -> Any:
        made = ray.remote(Depot).options(
            num_cpus=0,
            max_concurrency=8,
            max_restarts=-1,
            max_task_retries=3,
            scheduling_strategy=at_node(node),
        )
        return made.remote(plain(self.setup))

    def _greeted(self, ray: Any, node: dict[str, Any], depot: Any, answer: Any, left: float) -> Node | None:
        address = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
        try:
            hello = ray.get(answer, timeout=max(1.0, left))
        except ray.exceptions.GetTimeoutError as error:
            raise RequestError(f"ray: {address} does not answer") from error
        except (ray.exceptions.RayActorError, ray.exceptions.RayTaskError) as error:
            if not is_alive(node["NodeID"]):
                return None
            text = str(error).strip().splitlines()[-1]
            raise RequestError(
                f"ray: {address} cannot start a worker ({text}); is flowsynth there?"
            ) from error
        if isinstance(hello, str):
            raise RequestError(f"ray: {address}: {hello}")
        return Node(node["NodeID"], address, int(node["Resources"].get("CPU", 1)), depot, hello)

    @property
    def alive(self) -> list[Node]:
        """The nodes that have not been found to be gone."""
        return [node for node in self.nodes.values() if node.alive]

    def devices(self) -> Sequence[DeviceSpec]:
        """The devices that nodes can be placed on."""
        return specs_of([node.hello for node in self.alive])

    def facts(self) -> Mapping[str, Facts]:
        """What results depend on, by device."""
        return {name: fact for node in self.alive for name, fact in node.hello.facts.items()}

    def close(self) -> None:
        """End the workers, and the cluster if it was started for this."""
        if self._nonce is not None:
            self._nonce.unlink(missing_ok=True)
        if not self.nodes and not self._own:
            return
        ray = imported_ray()
        for node in self.nodes.values():
            with suppress(ray.exceptions.RayError, ValueError):
                ray.kill(node.depot)
        self.nodes.clear()
        if self._own:
            self._own = False
            ray.shutdown()
        while self._environment:
            os.environ.pop(self._environment.pop(), None)


def imported_ray(*, local: bool = False) -> Any:
    """The library.

    Args:
        local: it is to start a cluster here. That has a token, read when the library is imported: else
            it writes one into the home folder, and without any all users of the machine could run code.

    Raises:
        RequestError: it is not installed.
    """
    if local and "ray" not in sys.modules and not any(name.startswith("RAY_AUTH_") for name in os.environ):
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise RequestError(
            "executor: 'ray' needs the package ray, which is not here; expected pip install "
            "'flowsynth-engine[ray]', or executor=threads"
        ) from error
    return ray


def at_node(node: str) -> Any:
    """The strategy that puts an actor on a node and nowhere else."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node, soft=False)


def is_alive(node: str) -> bool:
    """Whether Ray still counts a node among its own.

    Raises:
        RunError: the cluster itself is gone.
    """
    ray = imported_ray()
    try:
        return any(one["NodeID"] == node and one["Alive"] for one in ray.nodes())
    except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
        raise RunError(f"ray: the cluster is gone ({type(error).__name__})") from error
