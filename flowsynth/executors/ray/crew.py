"""The seats of a run at a cluster: a worker for each device of each node, and files read by the driver."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from flowsynth.core.errors import RunError, listing
from flowsynth.executors.expand import IO_LANE
from flowsynth.executors.order import Order, Outcome
from flowsynth.executors.perform import Workplace
from flowsynth.executors.ray.hand import START_SECONDS, Hand, WorkerLostError
from flowsynth.executors.ray.own import Module
from flowsynth.executors.ray.setup import Opener
from flowsynth.executors.ray.staff import Staff
from flowsynth.executors.seats import Seat, SeatLostError

#: So many workers may die of one task before it is the task's fault.
MOST_DEATHS = 3
#: So often objects are fetched again for one order: from another node, then from the driver only.
MOST_TRIES = 3
#: Between looks for nodes that joined, in seconds.
LOOK_SECONDS = 2.0

_log = logging.getLogger("flowsynth.ray")


@dataclass(eq=False, slots=True)
class RayCrew:
    """Workers of a cluster, for one run.

    Attributes:
        staff: the workers.
        place: the driver's own, where files are read.
        modules: the user's own operators.
        opener: opens a worker's session.
        local: False: what orders give is stored.
    """

    staff: Staff
    place: Workplace
    modules: list[Module]
    opener: Opener
    local: bool = False
    _lanes: Sequence[str] = ()
    _workers: int | None = None
    _deaths: Counter[str] = field(default_factory=Counter)
    _looked: float = 0.0
    _began: float = 0.0

    def seats(self, lanes: Sequence[str], workers: int | None) -> list[Seat]:
        """The driver's own, for files, and workers that are there from an earlier run.

        Raises:
            RequestError: there is no cluster, or not one that can be used.
        """
        self.staff.cluster.connect()
        self._lanes, self._workers = lanes, workers
        self._looked = self._began = time.monotonic()
        self.staff.hire(lanes, workers, self.modules, self.opener)
        ready = [self._seat(hand) for hand in self.staff.seated if hand.node.alive and hand.lane in lanes]
        return [Seat(IO_LANE, "", self._here), *ready]

    def more(self) -> list[Seat]:
        """Workers that have started since, at nodes that joined too.

        Raises:
            RequestError: one cannot have the user's own operators.
            RunError: nobody is left who could work for a device.
        """
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._looked = time.monotonic()
            self.staff.look_for_nodes()
            self.staff.hire(self._lanes, self._workers, self.modules, self.opener)
        found = [self._seat(hand) for hand in self.staff.started()]
        self._require_workers()
        return found

    def resident(self, place: str, names: Sequence[str]) -> bool:
        """Whether a worker has run nodes with all of some models."""
        return any(hand.name == place and hand.warm.issuperset(names) for hand in self.staff.seated)

    def _require_workers(self) -> None:
        there = {hand.lane for hand in self.staff.seated if hand.node.alive}
        coming = {hand.lane for hand in self.staff.coming if hand.node.alive}
        late = time.monotonic() - self._began > START_SECONDS
        lacking = [lane for lane in self._lanes if lane not in there and (late or lane not in coming)]
        if lacking:
            why = f"has a free {listing(lacking)}" if late else f"has {listing(lacking)}"
            raise RunError(f"ray: no node is there that {why}; what was finished is kept")

    def _seat(self, hand: Hand) -> Seat:
        return Seat(hand.lane, hand.name, lambda order: self._there(hand, order))

    def _here(self, order: Order) -> Outcome:
        """Carry an order out at the driver."""
        outcome = self.place.perform_stored(order)
        for _ in range(MOST_TRIES):
            if not outcome.missing or not self.staff.carriage.bring_here(outcome.missing):
                break
            outcome = self.place.perform_stored(order)
        return outcome

    def _there(self, hand: Hand, order: Order) -> Outcome:
        """Have a worker carry an order out; a new worker takes the place of one that dies.

        Raises:
            SeatLostError: its node is gone.
            RunError: the task has cost several workers their lives.
        """
        self.place.begin(order.node, order.device)
        while True:
            try:
                return self._carried_out(hand, order)
            except WorkerLostError as error:
                self._deaths[order.key] += 1
                reason = str(error)
            if not hand.replace():
                self.staff.carriage.forget(hand.node)
                raise SeatLostError(f"{hand.node.address} is gone")
            if self._deaths[order.key] >= MOST_DEATHS:
                raise RunError(f"{order.node}: {MOST_DEATHS} workers died while they ran it ({reason})")
            _log.warning(
                "a worker at %s died while it ran %s, which runs again", hand.node.address, order.node
            )

    def _carried_out(self, hand: Hand, order: Order) -> Outcome:
        carriage, node = self.staff.carriage, hand.node
        outcome = hand.perform(order, carriage.origins(node, order), self.place)
        for attempt in range(MOST_TRIES):
            if not outcome.missing or not carriage.again(node, outcome.missing, first=attempt == 0):
                break
            outcome = hand.perform(order, carriage.origins(node, order), self.place)
        if outcome.refs and not carriage.made(node, order, outcome):
            raise WorkerLostError("what it gave was lost with it")
        return outcome
