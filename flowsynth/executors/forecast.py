"""How many tasks a run would have, and how many of them are in the cache; nothing is run or probed for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

from flowsynth.core.errors import FlowsynthError, RunError
from flowsynth.core.refs import StreamRef
from flowsynth.core.streams import Scan, StreamInfo, Whole
from flowsynth.executors.expand import Expander
from flowsynth.executors.inputs import gather
from flowsynth.executors.passes import first_runs
from flowsynth.executors.tasks import Role, StepRun, Task, task_key
from flowsynth.planning.host import Index
from flowsynth.planning.plan import Plan
from flowsynth.planning.step import Step


class Forecast(NamedTuple):
    """Tasks of one step.

    Attributes:
        tasks: how many; None where the length of a stream is not known yet.
        hits: how many of them are in the cache; None where their keys can't be known yet. A hit whose value
            was not kept runs all the same if a neighbour that is no hit reads it.
    """

    tasks: int | None
    hits: int | None


def traced_probe(step: Step, lookup: Callable[[str], bytes | None]) -> tuple[StreamInfo, list[str]] | None:
    """Length and rate of a source's stream, and its notes, as an earlier run found them; None if none did."""
    row = lookup(probe_key(step)) if step.kept else None
    if row is None:
        return None
    length, fps, *more = json.loads(row)
    return StreamInfo(length, Fraction(fps) if fps else None, *more[1:]), more[0] if more else []


def probe_key(step: Step) -> str:
    """Under what a source's length is remembered."""
    return step.static.key([], "probe")


def probe_row(info: StreamInfo, notes: Sequence[str]) -> bytes:
    """What is remembered of it."""
    samples = [info.samples] if info.samples else []
    return json.dumps([info.length, str(info.fps) if info.fps else None, list(notes), *samples]).encode()


def forecast(plan: Plan, index: Index, chunk: int) -> dict[str, Forecast]:
    """Tasks and hits of every step of a plan, as far as they follow from traces.

    Args:
        plan: the plan.
        index: the cache.
        chunk: frames in a chunk.
    """

    def probe(run: StepRun) -> StreamInfo:
        found = traced_probe(run.step, index.lookup)
        if found is None:
            raise RunError(f"{run.name}: not probed yet")
        return found[0]

    runs = first_runs(plan)
    for run in runs.values():
        run.outputs = run.step.outputs  # of those that have to run again, too
    expander = Expander(runs, chunk, probe)
    return {name: _forecast(run, expander, index) for name, run in runs.items()}


def _forecast(run: StepRun, expander: Expander, index: Index) -> Forecast:
    step = run.step
    if isinstance(step.kind, Whole):
        return Forecast(1, None if step.status == "unknown" else int(step.status == "hit"))
    streams = [ref for ref in (step.outputs or {}).values() if isinstance(ref, StreamRef)]
    if streams and step.status == "hit":
        count = len(streams[0].chunks)
        return Forecast(count, count)
    if streams:
        chunks = [ref.chunks for ref in streams]
        there = [all(index.has_object(c.object) for c in part) for part in zip(*chunks, strict=True)]
        return Forecast(len(there), sum(there))
    try:
        expander.expand(run)
    except FlowsynthError:
        return Forecast(None, None)
    tasks = run.tasks
    return Forecast(len(tasks), len(tasks) if step.status == "hit" else _hits(run, tasks, index))


def _hits(run: StepRun, tasks: Sequence[Task], index: Index) -> int | None:
    """How many chunks are traced, where all that they read is known; a state between chunks never is."""
    step = run.step
    chunks = all(task.role is Role.CHUNK for task in tasks)
    if not chunks or isinstance(step.kind, Scan) or any(source.outputs is None for source in run.sources()):
        return None
    if not step.kept:
        return 0
    keys = [task_key(task, [(one.port, one.hash) for one in gather(task)]) for task in tasks]
    found = index.lookup_many(keys)
    return sum(key in found for key in keys)
