"""Where results become traces: the one place that writes them, after a last look at what was read."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from flowsynth.core.held import require_held
from flowsynth.core.refs import Ref, StreamRef, Trace
from flowsynth.core.streams import Source, StreamInfo, Whole
from flowsynth.executors.inputs import whole_ref
from flowsynth.executors.order import Outcome
from flowsynth.executors.tasks import StepRun, Task
from flowsynth.planning.step import input_hashes

if TYPE_CHECKING:
    from flowsynth.cache.store import Cache


class Ledger:
    """Writes the traces of tasks, and of streams as one once all their tasks are over. Safe for threads.

    Args:
        cache: where traces go.
    """

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self._untraced: set[str] = set()
        self._lock = threading.Lock()

    def task(self, task: Task, outcome: Outcome, pairs: Sequence[tuple[str, str]]) -> None:
        """Record what a task gave, before anybody reads it.

        Raises:
            RunError: a file that its key holds the bytes of is no longer the one that was hashed, or a param.
        """
        step = task.run.step
        step.files.check()
        require_held(step.operator, step.static)
        if step.kept and not outcome.rounded:
            why = step.static.why(pairs)
            row = Trace(outcome.refs, outcome.seconds, why, outcome.notes).to_bytes()
            self.cache.record(task.key, row, outcome.seconds)

    def join(self, run: StepRun) -> None:
        """Put the outputs of a step together whose tasks are all over, and record the node as one.

        Raises:
            ValueError: chunks of one stream differ in what they must share, or their rate from what was said.
        """
        outputs = {port: whole_ref(run, port) for port in run.step.ports.outputs}
        _require_told(run, outputs)
        with self._lock:
            run.outputs = outputs
            if not isinstance(run.step.kind, Whole):  # a whole task's key is the node's
                self._whole(run)
            if self._untraced:
                for reader in run.readers():
                    if reader.name in self._untraced:
                        self._whole(reader)

    def _whole(self, run: StepRun) -> None:
        """Record the node as one; later, if a step above it has frames left that nobody here reads."""
        step = run.step
        self._untraced.discard(run.name)
        outputs = {edge.node: run.peers[edge.node].outputs for given in step.inputs for edge in given.edges}
        if any(known is None for known in outputs.values()):
            self._untraced.add(run.name)
            return
        pairs = input_hashes(step.inputs, outputs)
        if pairs is None or run.outputs is None:
            return
        run.key = step.static.key(pairs)
        if step.kept and not run.rounded:
            # Notes of the plan are made anew by every plan.
            notes = tuple(note for note in run.notes if note not in step.notes)
            seconds = run.seconds + run.clock.saved  # what all of it costs, whatever of it was there
            row = Trace(run.outputs, seconds, step.static.why(pairs), notes).to_bytes()
            self.cache.record(run.key, row, 0.0)


def remember(cache: Cache, row: str, before: Mapping[str, str], keys: Mapping[str, str]) -> None:
    """Write down the last keys of a graph's nodes.

    Args:
        cache: where.
        row: name of the index row.
        before: what it holds.
        keys: node -> its key, empty where that is not known.
    """
    now = {**before, **{name: key for name, key in keys.items() if key}}
    if not cache.read_only and now != before:
        cache.record(row, json.dumps(now).encode(), 0.0)
        cache.commit()


def _require_told(run: StepRun, outputs: Mapping[str, Ref]) -> None:
    """What reads a stream is told of it before it is made: a later run, told by the frames, must not differ.

    Raises:
        ValueError: the frames have another rate, or are others in number.
    """
    said = run.info
    if said is None:
        return
    for port, ref in outputs.items():
        if isinstance(ref, StreamRef) and ref.info != said:
            where = "probe" if isinstance(run.step.kind, Source) else "output_info"
            raise ValueError(f"{where}() said {_told(said)}; {port} has {_told(ref.info)}")


def _told(info: StreamInfo) -> str:
    rate = "no rate" if info.fps is None else f"{info.fps} frames a second"
    samples = f" and {info.samples} samples" if info.samples else ""
    return f"{info.length} frames at {rate}{samples}"
