"""A process that carries out orders: reads them as lines, fetches objects by hash, runs, stores, answers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

from flowsynth.api.execute import Host
from flowsynth.api.session import Session
from flowsynth.executors.order import Order, Outcome
from flowsynth.executors.perform import Workplace

ROOT = Path(__file__).parents[2]


class Elsewhere:
    """Sends orders to such a process; one at a time. Every line either way is kept."""

    def __init__(self, cache: Path) -> None:
        self.orders: list[bytes] = []
        self.outcomes: list[bytes] = []
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(cache)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __call__(self, order: Order) -> Outcome:
        """The outcome of an order."""
        sent, taken = self._process.stdin, self._process.stdout
        assert sent is not None
        assert taken is not None
        with self._lock:
            self.orders.append(order.to_bytes())
            sent.write(self.orders[-1] + b"\n")
            sent.flush()
            self.outcomes.append(taken.readline())
            return Outcome.from_bytes(self.outcomes[-1])

    def __enter__(self) -> Elsewhere:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process, which closes when nothing more comes."""
        self._process.communicate(timeout=60)
        assert self._process.returncode == 0


def main() -> None:
    """Answer until there are no more orders."""
    from tests import streams
    from tests.executors import dags, test_orders

    assert all((streams, dags, test_orders)), "their operators are known by name"
    with Session(sys.argv[1]) as session:
        places: dict[str, Workplace] = {}
        for line in sys.stdin.buffer:
            order = Order.from_bytes(line)
            names = str(sorted(order.specs))
            place = places.setdefault(names, Workplace(session.cache, Host(session, order.specs)))
            outcome = place.perform(order)
            place.shelf.clear()  # the next order finds nothing in memory
            sys.stdout.buffer.write(outcome.to_bytes() + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
