"""The workers of a session: hired for the devices that its runs need, kept from run to run."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from flowsynth.core.errors import RequestError, RunError
from flowsynth.executors.ray.carriage import Carriage
from flowsynth.executors.ray.cluster import Cluster, Node
from flowsynth.executors.ray.hand import Hand, WorkerLostError
from flowsynth.executors.ray.own import Module
from flowsynth.executors.ray.setup import Opener
from flowsynth.executors.seats import cpu_seats

_log = logging.getLogger("flowsynth.ray")


@dataclass(eq=False, slots=True)
class Staff:
    """Workers of a cluster.

    Attributes:
        cluster: their nodes.
        carriage: brings objects from node to node.
        coming: those that have not started yet, or not yet imported what a run needs.
        seated: those that are there.
    """

    cluster: Cluster
    carriage: Carriage
    coming: list[Hand] = field(default_factory=list)
    seated: list[Hand] = field(default_factory=list)

    def hire(
        self, lanes: Sequence[str], workers: int | None, modules: Sequence[Module], opener: Opener
    ) -> None:
        """Have workers for some devices at every node that has them, where there are none yet.

        Args:
            lanes: the devices.
            workers: how many compute on the CPU of a node; None is a quarter of its cores.
            modules: the user's own operators.
            opener: opens a worker's session.
        """
        for hand in [*self.seated]:
            if hand.teach(modules):
                self.seated.remove(hand)
                self.coming.append(hand)
        there = {(hand.node.id, hand.lane) for hand in [*self.coming, *self.seated]}
        wanted = [
            (node, lane)
            for node in self.cluster.alive
            for lane in _lanes_of(node, lanes, workers)
            if (node.id, lane) not in there
        ]
        crowd = Counter(
            node.hello.machine for node, lane in [*self._places(), *wanted] if _in_memory(node, lane)
        )
        for node, lane in wanted:
            share = crowd[node.hello.machine] if _in_memory(node, lane) else 1
            hand = Hand(node, lane, self.cluster.setup, opener, list(modules), share)
            hand.begin()
            self.coming.append(hand)

    def look_for_nodes(self) -> None:
        """Learn which nodes are gone, and which joined; one that differs is left out with a warning."""
        try:
            self.cluster.look_for_nodes()
        except RequestError as error:
            _log.warning("%s", error)

    def started(self) -> list[Hand]:
        """Workers that have come since.

        Raises:
            RequestError: one cannot have the user's own operators.
            RunError: one cannot start, though its node is there.
        """
        found = []
        for hand in list(self.coming):
            state = _state(hand)
            if state is None:
                continue
            self.coming.remove(hand)
            if state:
                self.seated.append(hand)
                found.append(hand)
        return found

    def close(self) -> None:
        """End the workers, and the cluster if it was started for them."""
        for hand in [*self.coming, *self.seated]:
            with suppress(RequestError):
                hand.end()
        self.coming.clear()
        self.seated.clear()
        self.cluster.close()

    def _places(self) -> list[tuple[Node, str]]:
        return [(hand.node, hand.lane) for hand in [*self.coming, *self.seated] if hand.node.alive]


def _state(hand: Hand) -> bool | None:
    """Whether a worker has started; None while it has not, False where its node is gone."""
    try:
        return hand.started()
    except WorkerLostError as error:
        if not hand.node.alive:
            return False
        raise RunError(
            f"ray: a worker for {hand.lane} at {hand.node.address} cannot start: {error}"
        ) from error


def _lanes_of(node: Node, lanes: Sequence[str], workers: int | None) -> list[str]:
    """The devices that a node has workers for; the CPU several, if it has cores."""
    has = {name for name, _, _ in node.hello.devices}
    count = workers or cpu_seats(min(node.cpus, node.hello.cores))
    found = [lane for lane in lanes if lane in has or lane.startswith("sim:")]
    return [lane for lane in found for _ in range(count if lane == "cpu" else 1)]


def _in_memory(node: Node, lane: str) -> bool:
    """Whether models of a worker lie in the memory of its machine, so that others there leave less of it."""
    sized = lane.startswith("sim:") and any(name == lane for name, _, _ in node.hello.devices)
    return not sized and not lane.startswith("cuda")
