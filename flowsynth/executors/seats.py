"""Who carries orders out: seats, each for one task at a time, and the crew that has them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from flowsynth.core.errors import RunError
from flowsynth.executors.expand import IO_LANE
from flowsynth.executors.order import Order, Outcome
from flowsynth.executors.perform import Workplace

#: Seats at an accelerator, one of which computes.
AT_A_DEVICE = 2


class SeatLostError(RunError):
    """Whoever carried an order out is gone, with all that came of it: somebody else gets it."""


class Seat(NamedTuple):
    """Where one task at a time is carried out.

    Attributes:
        lane: whose tasks it takes.
        place: who holds the models there: the device, or the name of a worker elsewhere; empty where a task's
            own device does.
        perform: carries an order out; raises `SeatLostError` when the seat is gone.
    """

    lane: str
    place: str
    perform: Callable[[Order], Outcome]


class Crew(Protocol):
    """The seats of a run."""

    @property
    def local(self) -> bool:
        """Whether what an order gives stays in this process's memory; else it is stored."""
        ...

    def seats(self, lanes: Sequence[str], workers: int | None) -> Sequence[Seat]:
        """The seats that are there from the beginning.

        Args:
            lanes: the devices that tasks are placed on.
            workers: how many compute on the CPU; None is for the crew to say.
        """
        ...

    def more(self) -> Sequence[Seat]:
        """Seats that came since it was last asked.

        Raises:
            RunError: there are none for some lane, and none will come.
        """
        ...

    def resident(self, place: str, names: Sequence[str]) -> bool:
        """Whether all of some models are loaded at a place."""
        ...


@dataclass(slots=True)
class Here:
    """Threads of this process."""

    workplace: Workplace
    local: bool = True

    def seats(self, lanes: Sequence[str], workers: int | None) -> list[Seat]:
        """Two for every device, one for reading files, and for the CPU as many as it has cores for.

        Of the two one computes, while the other fetches what comes next or puts away what came out.
        """
        count = workers or cpu_seats(os.cpu_count())
        wanted = [lane for lane in lanes for _ in range(count if lane == "cpu" else AT_A_DEVICE)]
        devices = [Seat(lane, lane, self.workplace.perform) for lane in wanted]
        return [*devices, Seat(IO_LANE, "", self.workplace.perform)]

    def more(self) -> tuple[Seat, ...]:
        """None: all are there from the beginning."""
        return ()

    def resident(self, place: str, names: Sequence[str]) -> bool:
        """Whether all of some models are loaded on a device."""
        return self.workplace.host.resident(place, names)


def cpu_seats(cores: int | None) -> int:
    """How many compute on the CPU at once: torch uses several cores itself."""
    return max(1, (cores or 1) // 4)
