"""A worker of one device: carries orders out, one at a time, and says how far it is when asked."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any, TypeAlias

from flowsynth.cache.errors import CacheError, FormatError
from flowsynth.core.errors import FlowsynthError, RunError, error_text, of_node
from flowsynth.core.events import Observer
from flowsynth.core.filehash import FileWatch
from flowsynth.executors.order import Order, Outcome
from flowsynth.executors.perform import Workplace
from flowsynth.executors.ray.own import Module, import_modules
from flowsynth.executors.ray.setup import Opener, Setup, adopt
from flowsynth.models.manager import default_budget
from flowsynth.planning.moment import Moment
from flowsynth.planning.statics import Statics

#: What a worker tells: a node's progress, or a line of its log.
News: TypeAlias = "tuple[str, int, int] | tuple[str, int, str]"
#: Where an object comes from: the bytes of its file, or a depot that has it.
Origin: TypeAlias = Any


class Bench:
    """Carries orders out at its node. Ray calls it from several threads; orders come one after the other.

    Args:
        setup: what it needs to know, as plain data.
        opener: opens its session.
        folder: its node's cache folder.
    """

    def __init__(self, setup: dict[str, Any], opener: Opener, folder: str) -> None:
        self._setup = Setup(**setup)
        adopt(self._setup)
        self._news: deque[News] = deque(maxlen=1000)
        self._cancelled = threading.Event()
        self._one = threading.Lock()
        self._places: dict[str, Workplace] = {}
        self._verified: dict[tuple[str, ...], FileWatch] = {}
        self._moment = Moment()
        budgets = self._setup.max_bytes, model_bytes(self._setup)
        self._opened = opener(folder, self._setup.offline, *budgets)
        self._station = self._opened.__enter__()
        self._observer = _Told(self._news)
        self._handler = _Logged(self._news)
        logging.getLogger().addHandler(self._handler)

    def close(self) -> None:
        """Close its session."""
        logging.getLogger().removeHandler(self._handler)
        self._opened.__exit__(None, None, None)

    def modules(self, given: list[Module]) -> str:
        """Import the user's own operators; a text says what can't be had."""
        try:
            import_modules(given)
        except FlowsynthError as error:
            return str(error)
        return ""

    def perform(self, data: bytes, origins: Mapping[str, Origin]) -> tuple[bytes, list[News]]:
        """Carry an order out.

        Args:
            data: the order.
            origins: object that it reads and that is not here -> where it comes from.

        Returns:
            The outcome, and what else there is to tell.
        """
        with self._one:
            self._cancelled.clear()
            return self._outcome(data, origins).to_bytes(), self.news()

    def cancel(self) -> None:
        """Have the order under way end early."""
        self._cancelled.set()

    def news(self) -> list[News]:
        """What there is to tell since it was last asked."""
        found = []
        while self._news:
            found.append(self._news.popleft())
        return found

    def _outcome(self, data: bytes, origins: Mapping[str, Origin]) -> Outcome:
        node = ""
        try:
            order = Order.from_bytes(data)
            node = order.node
            self._take_in(origins)
            watch = self._watched(order)
            outcome = self._place(order).perform_stored(order)
            watch.check()
            return outcome
        except CacheError as error:  # no room here: the node fails, the run goes on
            return Outcome(failed=of_node(node, str(error)), code=1)
        except Exception as error:
            code = error.exit_code if isinstance(error, FlowsynthError) else 1
            return Outcome(failed=of_node(node, error_text(error)), code=code)

    def _take_in(self, origins: Mapping[str, Origin]) -> None:
        """Fetch objects; what cannot be had, or is not what it should be, is found missing afterwards."""
        cache = self._station.cache
        for name, origin in origins.items():
            if cache.has_object(name):
                continue
            found = fetched(origin, name)
            if found is not None:
                try:
                    cache.take_in(name, memoryview(found).cast("B"))
                except FormatError as error:
                    logging.getLogger("flowsynth.ray").warning("object %s: %s", name, error)

    def _place(self, order: Order) -> Workplace:
        names = repr(sorted((name, sorted(spec.items(), key=repr)) for name, spec in order.specs.items()))
        if names not in self._places:
            host = self._station.host(order.specs)
            place = Workplace(self._station.cache, host, observer=self._observer, debug=self._setup.debug)
            place.cancelled = self._cancelled
            self._places[names] = place
        return self._places[names]

    def _watched(self, order: Order) -> FileWatch:
        """The files that a node's key holds, after a look whether this process would compute what it says.

        Raises:
            RunError: code, weights, files or numerics are others than the driver's.
        """
        asked = (order.node, *order.identity.values())
        watch = self._verified.get(asked)
        if watch is None:
            keys, device = self._station.keys, order.device
            operator = order.operator.resolve(keys.context(order.node, device), fetch=True)
            statics = Statics(order.specs, keys, self._moment)
            static, code = statics.of(order.node, operator, device, order.models)
            if static.identity != order.identity:
                raise RunError(_differs(order.identity, static.identity))
            watch = self._verified[asked] = code.files
        watch.check()
        return watch


#: What the parts of a key stand for.
_PARTS = {
    "source": "code of its operator",
    "models": "weights or code of its models",
    "files": "content of the files that its params name",
    "numerics": "device or versions of libraries",
}


def _differs(expected: Mapping[str, str], found: Mapping[str, str]) -> str:
    names = [_PARTS.get(name, name) for name in found if found[name] != expected.get(name)]
    return f"not the same {' and '.join(names)} at the worker as at the driver; expected one on all machines"


def model_bytes(setup: Setup) -> int | None:
    """The budget of loaded models: the machine's memory is shared by all workers that compute there."""
    if setup.share == 1:
        return setup.model_bytes
    whole = setup.model_bytes
    return (default_budget("cpu") if whole is None else whole) // setup.share


def fetched(origin: Origin, name: str) -> Any:
    """The bytes of an object's file from where it is; None where that is gone."""
    if not hasattr(origin, "read"):
        return origin
    import ray

    try:
        return ray.get(origin.read.remote(name))
    except ray.exceptions.RayError:
        return None


class _Told(Observer):
    """Puts how far a node is among the news."""

    def __init__(self, news: deque[News]) -> None:
        self._news = news

    def node_progress(self, node: str, step: int, total: int) -> None:
        """A long task says how far it is."""
        self._news.append((node, step, total))


class _Logged(logging.Handler):
    """Puts warnings among the news."""

    def __init__(self, news: deque[News]) -> None:
        super().__init__(logging.WARNING)
        self._news = news

    def emit(self, record: logging.LogRecord) -> None:
        """A line of the log."""
        self._news.append((record.name, record.levelno, record.getMessage()))
