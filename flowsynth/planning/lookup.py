"""What the cache knows of the steps: keys are walked forwards, then demand backwards.

An input's content must be known before a key can be. A traced step runs again only if its object is gone and
somebody needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from flowsynth.core.keys import StaticKey
from flowsynth.core.ports import Ports
from flowsynth.core.refs import Ref, Trace, objects_of
from flowsynth.core.status import PlanStatus
from flowsynth.planning.host import Index
from flowsynth.planning.step import Input, Step, input_hashes


class Known(NamedTuple):
    """What the cache knows of one step: see `Step`."""

    key: str = ""
    status: PlanStatus = "unknown"
    outputs: Mapping[str, Ref] | None = None
    seconds: float | None = None
    said: tuple[str, ...] = ()


class LookUp:
    """Looks steps up, upstream first, and remembers what they give.

    Args:
        index: the cache.
        known: rows that were read already.
    """

    def __init__(self, index: Index, known: Mapping[str, bytes]) -> None:
        self._index = index
        self._known = known
        self._outputs: dict[str, Mapping[str, Ref] | None] = {}

    def step(self, name: str, static: StaticKey, kept: bool, ports: Ports, inputs: Sequence[Input]) -> Known:
        """What is known of a step whose upstream was looked up before."""
        pairs = input_hashes(inputs, self._outputs)
        self._outputs[name] = None
        if pairs is None:
            return Known()
        key = static.key(pairs)
        row = (self._known.get(key) or self._index.lookup(key)) if kept else None
        trace = Trace.from_bytes(row) if row is not None else None
        if trace is None or not trace.outputs.keys() >= ports.outputs.keys():
            return Known(key, "run")
        self._outputs[name] = trace.outputs
        return Known(key, "hit", trace.outputs, trace.seconds, trace.notes)


def looked_up_again(steps: Mapping[str, Step], index: Index) -> dict[str, Step]:
    """The steps as the cache knows them now."""
    look = LookUp(index, {})
    return {
        name: step._replace(**look.step(name, step.static, step.kept, step.ports, step.inputs)._asdict())
        for name, step in steps.items()
    }


def demand(steps: dict[str, Step], has_object: Callable[[str], bool]) -> None:
    """Mark the hits that have to run again: somebody needs them and an object of theirs is gone.

    Args:
        steps: name -> step in topological order; changed in place.
        has_object: whether an object is there.
    """
    for name in reversed(list(steps)):
        step = steps[name]
        if step.status != "hit" or step.outputs is None:
            continue
        needed = step.wanted or any(steps[reader].status != "hit" for reader in step.readers)
        if needed and not all(has_object(o) for ref in step.outputs.values() for o in objects_of(ref)):
            steps[name] = step._replace(status="rerun")
