"""A process that carries out orders: takes them from a pipe, fetches objects, runs, stores, answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

from flowsynth.api.host import Host
from flowsynth.api.session import Session
from flowsynth.executors.expand import IO_LANE
from flowsynth.executors.order import Order, Outcome
from flowsynth.executors.perform import Workplace
from flowsynth.executors.seats import Seat
from tests.processes import server


class Elsewhere:
    """Sends orders about one cache to such a process; one at a time. Every message either way is kept."""

    def __init__(self, line: Connection) -> None:
        self.orders: list[bytes] = []
        self.outcomes: list[bytes] = []
        self._lock, self._line = threading.Lock(), line

    @property
    def local(self) -> bool:
        """Nothing stays in this process."""
        return False

    def seats(self, lanes: Sequence[str], workers: int | None) -> list[Seat]:
        """One for every lane; it is the one process behind all of them."""
        return [Seat(lane, lane, self) for lane in [*lanes, IO_LANE]]

    def more(self) -> list[Seat]:
        """None."""
        return []

    def resident(self, place: str, names: Sequence[str]) -> bool:
        """Nobody knows."""
        return False

    def __call__(self, order: Order) -> Outcome:
        """The outcome of an order."""
        with self._lock:
            self.orders.append(order.to_bytes())
            self._line.send_bytes(self.orders[-1])
            self.outcomes.append(self._line.recv_bytes())
            return Outcome.from_bytes(self.outcomes[-1])


@contextmanager
def another_process() -> Iterator[Connection]:
    """A process that answers, one cache after the other; it ends well when there are no more."""
    context = server()
    line, other = context.Pipe()
    process = context.Process(target=answer, args=(other,))
    process.start()
    other.close()
    yield line
    line.close()
    process.join(60)
    assert process.exitcode == 0


@contextmanager
def elsewhere(line: Connection, cache: Path) -> Iterator[Elsewhere]:
    """Orders about a cache, which the process opens for them and closes after them."""
    line.send_bytes(str(cache).encode())
    yield Elsewhere(line)
    line.send_bytes(b"")
    assert line.recv_bytes() == b"closed"


def answer(line: Connection) -> None:
    """Answer until there are no more caches."""
    from tests import streams
    from tests.executors import dags, test_orders

    assert all((streams, dags, test_orders)), "their operators are known by name"
    with suppress(EOFError):
        while True:
            cache = line.recv_bytes().decode()
            with Session(cache) as session:
                _answer(session, line)
            line.send_bytes(b"closed")


def _answer(session: Session, line: Connection) -> None:
    places: dict[str, Workplace] = {}
    while message := line.recv_bytes():
        order = Order.from_bytes(message)
        names = str(sorted(order.specs))
        place = places.setdefault(names, Workplace(session.cache, Host(session, order.specs)))
        outcome = place.perform_stored(order)
        line.send_bytes(outcome.to_bytes())
