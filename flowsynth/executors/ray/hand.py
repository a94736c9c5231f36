"""One worker, as the driver sees it: started, asked, watched and replaced."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from flowsynth.core.errors import CancelledError, RequestError, RunError
from flowsynth.executors.order import Order, Outcome
from flowsynth.executors.perform import Workplace
from flowsynth.executors.ray.bench import Bench, News, Origin
from flowsynth.executors.ray.cluster import Node, at_node, imported_ray, is_alive
from flowsynth.executors.ray.own import Module
from flowsynth.executors.ray.setup import Opener, Setup, plain

#: How often a worker that computes is asked how far it is, and the run whether it was cancelled, in seconds.
POLL_SECONDS = 0.25
#: Has Ray leave the names of a node's GPUs as they are.
_ALL_VISIBLE = "RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES"
#: How long a worker may take to start, in seconds.
START_SECONDS = 120.0


class WorkerLostError(Exception):
    """A worker's process is gone."""


@dataclass(eq=False, slots=True)
class Hand:
    """A worker.

    Attributes:
        node: where it is.
        lane: its device.
        setup: what it is told.
        opener: opens its session.
        modules: the user's own operators.
        share: how many have its machine's memory.
        warm: names of models that it has run nodes with.
    """

    node: Node
    lane: str
    setup: Setup
    opener: Opener
    modules: list[Module]
    share: int
    warm: set[str] = field(default_factory=set)
    _actor: Any = None
    _answer: Any = None

    @property
    def name(self) -> str:
        """A name of its own."""
        return f"{self.node.id[:8]}/{self.lane}/{id(self)}"

    def teach(self, modules: Sequence[Module]) -> bool:
        """Have it import the user's own operators; whether there is something to wait for."""
        fresh = [module for module in modules if module not in self.modules]
        if fresh:
            self.modules += fresh
            self._answer = self._actor.modules.remote(fresh)
        return bool(fresh)

    def begin(self) -> None:
        """Have it started; it is there when `started` says so."""
        ray = imported_ray()
        setup = replace(self.setup, share=self.share)
        gpus = {"num_gpus": 1} if self.lane.startswith("cuda") else {}
        made = ray.remote(Bench).options(
            num_cpus=0, max_concurrency=4, scheduling_strategy=at_node(self.node.id), **gpus
        )
        if gpus:  # it counts as one of the node's, and is called by the name that it has there
            made = made.options(runtime_env={"env_vars": {_ALL_VISIBLE: "1"}})
        self.warm.clear()
        self._actor = made.remote(plain(setup), self.opener, self.node.hello.folder)
        self._answer = self._actor.modules.remote(self.modules)

    def started(self, seconds: float = 0.0) -> bool | None:
        """Whether it is there; None while it is not.

        Args:
            seconds: how long to wait.

        Raises:
            WorkerLostError: it died while it started.
            RequestError: it cannot have the user's own operators.
        """
        ray = imported_ray()
        if not ray.wait([self._answer], timeout=seconds)[0]:
            return None
        try:
            refused = ray.get(self._answer)
        except ray.exceptions.RayActorError as error:
            raise self._lost(error) from error
        except ray.exceptions.RayTaskError as error:
            raise RunError(f"ray: {self.node.address}: {_last(error)}") from error
        if refused:
            raise RequestError(f"executor: {self.node.address}: {refused}")
        return True

    def perform(self, order: Order, origins: Mapping[str, Origin], place: Workplace) -> Outcome:
        """Have it carry an order out.

        Raises:
            WorkerLostError: it died.
            CancelledError: the run was asked to stop.
        """
        ray = imported_ray()
        try:
            data, news = self._answered(self._actor.perform.remote(order.to_bytes(), origins), place)
        except ray.exceptions.RayActorError as error:
            raise self._lost(error) from error
        except ray.exceptions.RayError as error:
            raise RunError(f"{order.node}: {self.node.address}: {_last(error)}") from error
        self._tell(news, place)
        self.warm.update(order.specs)
        return Outcome.from_bytes(data)

    def _answered(self, answer: Any, place: Workplace) -> tuple[bytes, list[News]]:
        """What it answers, however long that takes; it stops when the run does."""
        ray = imported_ray()
        try:
            while not ray.wait([answer], timeout=POLL_SECONDS)[0]:
                if place.cancelled.is_set():
                    raise CancelledError("stopped on request")
                self._tell(ray.get(self._actor.news.remote()), place)
            found: tuple[bytes, list[News]] = ray.get(answer)
            return found
        except ray.exceptions.RayError:
            raise
        except BaseException:
            self._actor.cancel.remote()
            raise

    def replace(self) -> bool:
        """Start another in its place; False where its node is gone.

        Raises:
            RunError: it does not start.
        """
        self.end()
        if not is_alive(self.node.id):
            self.node.alive = False
            return False
        self.begin()
        try:
            if self.started(START_SECONDS) is None:
                raise RunError(f"ray: {self.node.address} starts no worker")
        except WorkerLostError:
            self.node.alive = is_alive(self.node.id)
            if self.node.alive:
                raise RunError(f"ray: {self.node.address} starts no worker") from None
            return False
        return True

    def end(self) -> None:
        """End it."""
        ray = imported_ray()
        with suppress(ray.exceptions.RayError, ValueError):
            ray.kill(self._actor)

    def _lost(self, error: Exception) -> WorkerLostError:
        self.node.alive = is_alive(self.node.id)
        return WorkerLostError(_last(error))

    def _tell(self, news: list[News], place: Workplace) -> None:
        for one in news:
            if isinstance(one[2], str):
                logging.getLogger(one[0]).log(one[1], "%s: %s", self.node.address, one[2])
            else:
                place.observer.node_progress(one[0], one[1], one[2])


def _last(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
