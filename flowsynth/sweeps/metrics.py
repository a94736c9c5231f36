"""Numbers that a run gives: the metrics of a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flowsynth.api import Run

#: The operator whose figures count though they are no output of the graph.
MEASURE = "measure"


def metrics(run: Run) -> Iterator[tuple[str, float]]:
    """The numbers among a run's JSON values: of what is delivered, and of whatever `measure` nodes gave.

    Returns:
        ``node`` or ``node.name``, and the number; a port other than the first is named too.
    """
    wanted = {edge.node for edge in run.plan.wanted}
    for (node, port), value in run.plain_values().items():
        step = run.plan.steps[node]
        if node in wanted or type(step.operator).op == MEASURE:
            at = node if port == next(iter(step.ports.outputs)) else f"{node}.{port}"
            yield from _numbers(at, value)


def _numbers(at: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _numbers(f"{at}.{key}", part)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield at, float(value)
