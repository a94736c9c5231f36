"""The plan: what of a graph is in the cache already, and what has to run. Imports no torch, never changes."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from flowsynth.core.canonical import digest_parts
from flowsynth.core.collector import collector_paused
from flowsynth.core.edges import Edge
from flowsynth.core.graph import CoreGraph, Name
from flowsynth.core.spending import Spending
from flowsynth.planning.host import Index, PlanHost
from flowsynth.planning.lookup import LookUp, demand, looked_up_again
from flowsynth.planning.moment import Moment
from flowsynth.planning.reading import Reading
from flowsynth.planning.step import Step
from flowsynth.planning.steps import StepMaker


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of a graph in topological order, pruned to what the outputs need.

    Attributes:
        graph: the graph.
        steps: name -> step, in topological order.
        wanted: the edges to deliver.
        row: name of the index row that remembers this graph's last keys.
        last_keys: node -> its key when it was last run, whatever else was run then.
    """

    graph: CoreGraph
    steps: Mapping[str, Step]
    wanted: tuple[Edge, ...]
    row: str
    last_keys: Mapping[str, str]

    def executing(self) -> list[Step]:
        """The steps that are not hits."""
        return [step for step in self.steps.values() if step.executes]

    def spending(self) -> dict[str, Spending]:
        """Node -> what it would ask of a vendor, of those that are no hits, as far as all of them run."""
        asked = {step.name: step.operator.spending() for step in self.executing()}
        return {name: spending for name, spending in asked.items() if spending is not None}


def make_plan(
    graph: CoreGraph, host: PlanHost, outputs: Sequence[Name] | None = None, moment: Moment | None = None
) -> Plan:
    """Look every node up, without running or importing anything heavy.

    Args:
        graph: a checked graph.
        host: the cache and the fingerprints.
        outputs: what to deliver; the graph's own outputs unless given.
        moment: what this plan and others share.

    Raises:
        RequestError: an output that does not exist, a file that is missing, a model that cannot be found.
        RunError: an operator raised while it was asked what it needs.
    """
    with collector_paused():
        wanted = graph.wanted(outputs)
        reading = Reading.of(graph, [edge.node for edge in wanted])
        row = row_of(graph)
        last = last_keys(host.lookup(row))
        known = host.lookup_many([last[name] for name in reading.order if name in last]) if last else {}
        maker = StepMaker(graph, host, wanted, reading, LookUp(host, known), moment or Moment())
        steps = {name: maker.step(name) for name in reading.order}
        demand(steps, host.has_object)
        return Plan(graph, steps, tuple(wanted), row, last)


def replan(plan: Plan, index: Index, lost: Collection[str]) -> Plan:
    """The plan as the cache is now.

    Args:
        plan: made before; its fingerprints stay.
        index: the cache.
        lost: objects that turned out to be unreadable, whatever the cache says of them.
    """
    steps = looked_up_again(plan.steps, index)
    demand(steps, lambda name: name not in lost and index.has_object(name))
    return replace(plan, steps=steps)


def row_of(graph: CoreGraph) -> str:
    """Name of the index row that remembers the last keys of a graph's nodes."""
    return "graph:" + digest_parts([graph.name, *graph.nodes])


def last_keys(row: bytes | None) -> dict[str, str]:
    """Node -> its key when it was last run, from what such a row holds."""
    try:
        data = json.loads(row) if row else {}
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
