"""Carrying an order out: fetch what it reads, run the operator, hash and store what comes out."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from flowsynth.core.codec import Encoded
from flowsynth.core.context import Portions, RunContext
from flowsynth.core.errors import CancelledError, DeviceMemoryError, FlowsynthError, error_text, of_node
from flowsynth.core.events import Observer
from flowsynth.core.ports import ports_of
from flowsynth.core.refs import Ref, ref_bytes
from flowsynth.executors.fetch import Fetcher
from flowsynth.executors.host import RunHost
from flowsynth.executors.kept import CacheKept
from flowsynth.executors.memory import Peak, is_out_of_memory
from flowsynth.executors.order import Order, Outcome
from flowsynth.executors.placed import handed
from flowsynth.executors.previews import PreviewMaker
from flowsynth.executors.results import encode, object_names, references, store, stored_object, worth_storing
from flowsynth.executors.shelf import Shelf, Spooled
from flowsynth.executors.tasks import SEGMENT, STATE, Role

if TYPE_CHECKING:
    from flowsynth.cache.store import Cache


#: What is said of a node that a device has no room for.
_TOO_LARGE = (
    "out of memory on {device}, with nothing else loaded there{portions} too; expected smaller frames or "
    "windows, tiles (tile_size), a smaller dtype, fewer frames a chunk, or a device with more memory ({said})"
)
#: What is said where smaller portions made it.
_IN_PORTIONS = (
    "out of memory on {device}: made in portions of a {part}th (tiles, frames at once); such a result may "
    "differ in its last bits and is not kept for later runs"
)
#: How often what is taken at once is halved.
_HALVINGS = 4


class Made(NamedTuple):
    """What an operator gave, by output port: values, and the bytes of what is no JSON."""

    values: dict[str, Any]
    encoded: dict[str, Encoded]
    seconds: float
    peak_bytes: int


@dataclass(slots=True)
class Workplace:
    """Where orders are carried out: a cache folder, values in memory, and a host. Safe for threads.

    Attributes:
        cache: holds the objects.
        host: makes contexts and models.
        shelf: values in memory. What an order gives is put there, for the caller to drop.
        observer: hears when a node begins, and how far it is.
        cancelled: set to end the run.
        debug: keep tracebacks in error messages.
        previews: takes a look at what orders give.
    """

    cache: Cache
    host: RunHost
    shelf: Shelf = field(default_factory=Shelf)
    observer: Observer = field(default_factory=Observer)
    cancelled: threading.Event = field(default_factory=threading.Event)
    debug: bool = False
    previews: PreviewMaker | None = None
    _begun: set[str] = field(default_factory=set)
    _turns: dict[str, threading.Lock] = field(default_factory=dict)
    _halvings: dict[str, int] = field(default_factory=dict)

    def perform(self, order: Order) -> Outcome:
        """Carry an order out. Whatever the operator raises becomes part of the outcome.

        Raises:
            CacheError: the cache cannot be used (a full disk): that concerns the run, not one node.
            CancelledError: the run was asked to stop.
            KeyboardInterrupt: the user asked for it.
        """
        fetcher = Fetcher(self.cache, self.shelf, order.device)
        fetched = {given.port: fetcher.given(given) for given in order.inputs}
        if fetcher.missing:
            return Outcome(missing=tuple(dict.fromkeys(fetcher.missing)))
        self.begin(order.node, order.device)
        notes: list[str] = []
        try:
            with self._turn(order.device):
                portions = Portions(self._halvings.get(order.node, 0))
                made = self._made_or_again(order, fetched, notes, portions)
            if made is None:
                return Outcome(missing=tuple(dict.fromkeys(order.objects())))
            refs = references(order, made.values, made.encoded)  # hashed while the device is another's
        except BaseException as error:
            if self._concerns_the_run(error):
                raise
            return self._failure(order, error, notes)
        if self.previews is not None:
            self.previews.take(order, made.values)
        stored, spooled = self._put_away(order, made, refs)
        rest = tuple(notes), stored, spooled, portions.less
        return Outcome(refs, made.seconds, *rest, peak_bytes=made.peak_bytes)

    def begin(self, node: str, device: str) -> None:
        """Say that a node begins, once."""
        if node not in self._begun:
            self._begun.add(node)
            self.observer.node_started(node, device)

    def perform_stored(self, order: Order) -> Outcome:
        """The same where nobody reads this place's memory: all that comes of it lies in the cache."""
        outcome = self.perform(replace(order, keep="always", late=False))
        names = set(object_names(outcome.refs).values())
        self.shelf.drop(names)
        if outcome.stored or outcome.failed:
            return outcome
        nbytes = sum(map(ref_bytes, outcome.refs.values()))
        text = f"{self.cache.root} has no room for {nbytes:,} bytes (cache.max_bytes)"
        return Outcome(notes=outcome.notes, failed=of_node(order.node, text), code=1)

    def _turn(self, device: str) -> AbstractContextManager[object]:
        """What one order at a time has while it computes on an accelerator; the CPU divides itself."""
        return nullcontext() if device == "cpu" else self._turns.setdefault(device, threading.Lock())

    def _made_or_again(
        self, order: Order, fetched: dict[str, Any], notes: list[str], portions: Portions
    ) -> Made | None:
        """Run the operator; out of memory again: alone, then in smaller portions. None: its inputs are gone.

        Raises:
            DeviceMemoryError: there is not enough memory for it.
        """
        said, alone = "", portions.halvings > 0
        while True:
            try:
                made = self._made(order, fetched, notes, portions)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                said = said or error_text(error)
                if alone and not (portions.divisible and portions.halvings < _HALVINGS):
                    smaller = " and in smaller portions" if portions.less else ""
                    text = _TOO_LARGE.format(device=order.device, portions=smaller, said=said)
                    raise DeviceMemoryError(text) from error
            else:
                if portions.less:
                    # Chunks that come later begin with it.
                    self._halvings[order.node] = portions.halvings
                    notes.append(_IN_PORTIONS.format(device=order.device, part=2**portions.halvings))
                return made
            # Here nothing holds the tensors of the try before any more.
            portions.again(portions.halvings + alone)
            alone = True
            fetched.clear()
            self.host.relieve(order.device)
            fetcher = Fetcher(self.cache, self.shelf, order.device)
            fetched |= {given.port: fetcher.given(given) for given in order.inputs}
            if fetcher.missing:  # the try before has written to what was only its own
                return None

    def _made(self, order: Order, fetched: dict[str, Any], notes: list[str], portions: Portions) -> Made:
        """Run the operator, which is somebody else's code."""
        inputs = {port: handed(port, value, order.device) for port, value in fetched.items()}
        context = self._context(order, inputs.pop(STATE, None), notes)
        context.kept = CacheKept(self.cache, order.code) if order.code else None
        context.portions = portions
        for port, names in order.models.items():
            models = self.host.models(names)
            inputs[port] = models if ports_of(type(order.operator)).inputs[port].many else models[0]
        peak, start = Peak(order.device), time.perf_counter()
        values = call(order, context, inputs)
        peak.settle()
        seconds = time.perf_counter() - start
        return Made(values, encode(order, values), seconds, peak.nbytes())

    def _put_away(self, order: Order, made: Made, refs: Mapping[str, Ref]) -> tuple[bool, bool]:
        """Put what came out where its readers find it; whether that is the cache, or else files."""
        names = object_names(refs)
        if not names:
            return True, False
        seconds = made.seconds + order.owed
        keep = worth_storing(order.keep, refs, seconds)
        kept = [keep and store(self.cache, refs[port], made.encoded[port], seconds) for port in names]
        done = all(kept)
        late = order.late and not done
        ports = {name: port for port, name in names.items()}  # two ports may give one content
        held = {
            n: self._spooled(refs[port], made.encoded[port]) if late else made.values[port]
            for n, port in ports.items()
        }
        self.shelf.put(held, order.device, shared=order.shared, maker=order.node)
        return done, late

    def _spooled(self, ref: Ref, encoded: Encoded) -> Spooled:
        return Spooled(self.cache.spool.write(stored_object(ref, encoded)))

    def _context(self, order: Order, state: Any, notes: list[str]) -> RunContext:
        context = self.host.context(order.node, order.device)
        context.notes = notes
        context.span, context.state = order.span, state
        context.cancelled = self.cancelled
        context.on_progress = lambda step, total: self.observer.node_progress(order.node, step, total)
        context.on_look = lambda space, get: self.observer.node_latents(order.node, space, get)
        context.check_cancelled()
        return context

    def _concerns_the_run(self, error: BaseException) -> bool:
        """Whether the whole run ends, and not only this node: whatever an operator raises is its own."""
        if isinstance(error, CancelledError):
            return self.cancelled.is_set()
        # Only the main thread hears of Ctrl-C.
        interrupted = isinstance(error, KeyboardInterrupt)
        return interrupted and threading.current_thread() is threading.main_thread()

    def _failure(self, order: Order, error: BaseException, notes: list[str]) -> Outcome:
        text = error_text(error)
        if self.debug:
            text += "\n" + traceback.format_exc()
        code = error.exit_code if isinstance(error, FlowsynthError) else 1
        return Outcome(notes=tuple(notes), failed=of_node(order.node, text), code=code)


def call(order: Order, context: RunContext, inputs: dict[str, Any]) -> dict[str, Any]:
    """Call the operator for its part; what it gave, by output port."""
    operator = order.operator
    if order.role is Role.SEGMENT:
        return {SEGMENT: operator.segment(context, **inputs)}
    if order.role is Role.COMBINE:
        parts = inputs.pop(SEGMENT)
        return _outputs(order, operator.combine(context, parts, **inputs))
    values = _outputs(order, operator.run(context, **inputs))
    if order.scans:
        values[STATE] = context.state
    return values


def _outputs(order: Order, result: Any) -> dict[str, Any]:
    ports = ports_of(type(order.operator))
    if not ports.many_outputs:
        return dict.fromkeys(ports.outputs, result)
    return {port: getattr(result, port) for port in ports.outputs}
