"""One job's part of a merged run, as if it had been run by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from flowsynth.api import Run
from flowsynth.planning.plan import Plan, row_of
from flowsynth.planning.step import Step

if TYPE_CHECKING:
    from flowsynth.api import Graph
    from flowsynth.cache.store import Cache
    from flowsynth.executors.shelf import Shelf
    from flowsynth.executors.tasks import StepRun
    from flowsynth.sweeps.merge import Placed


def run_of(
    job: Placed,
    graph: Graph,
    names: Mapping[str, str],
    runs: Mapping[str, StepRun],
    cache: Cache,
    shelf: Shelf,
) -> Run:
    """The run of one job, once all of its nodes are over.

    Args:
        job: as it was merged.
        graph: its own graph.
        names: its own name of a node -> the name in the merged graph.
        runs: every step of the merged run.
        cache: where its values are.
        shelf: values that are only in memory.
    """
    others = {merged: own for own, merged in names.items() if merged != own}
    views: dict[str, StepRun] = {}
    for name, merged in names.items():
        run = runs[merged]
        views[name] = replace(
            run,
            step=_step(run.step, graph, name),
            peers=views,
            tasks=[],
            failed=own_names(run.failed, others),
            notes=[own_names(note, others) for note in run.notes],
        )
    steps = {name: view.step for name, view in views.items()}
    return Run(Plan(graph, steps, job.wanted, row_of(graph), {}), views, cache, shelf)


def _step(step: Step, graph: Graph, name: str) -> Step:
    """A step as the job's own graph has it; its operator is the one that ran."""
    node = replace(graph.nodes[name], operator=step.operator)
    return step._replace(node=node, readers=(), inputs=())


def own_names(text: str, others: Mapping[str, str]) -> str:
    """A text with the job's own names of nodes in it."""
    for merged, own in others.items():
        if merged in text:
            text = text.replace(merged, own)
    return text
