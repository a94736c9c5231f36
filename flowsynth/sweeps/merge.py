"""Many graphs as one: each node that several have is in it once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flowsynth.core.edges import Edge, Feed, ModelEdge, Node
from flowsynth.core.graph import CoreGraph
from flowsynth.sweeps.identity import Identities


@dataclass(slots=True)
class Placed:
    """A job as it is merged.

    Attributes:
        number: the job's.
        graph: its graph.
        wanted: the edges that it must deliver.
        places: node -> device.
        numbers: the nodes that it needs -> their identities, upstream first.
        free: nodes that say nothing else may run on any device that is like the one found for them.
    """

    number: int
    graph: CoreGraph
    wanted: tuple[Edge, ...]
    places: dict[str, str]
    numbers: Mapping[str, int]
    free: bool = False


@dataclass(slots=True)
class Merged:
    """The graph of several jobs.

    Attributes:
        graph: with the nodes of all of them.
        outputs: what to deliver of it.
        names: for each job, its own name of a node -> the name in the graph.
    """

    graph: CoreGraph
    outputs: list[str] = field(default_factory=list)
    names: list[dict[str, str]] = field(default_factory=list)


def merge(jobs: Sequence[Placed], identities: Identities) -> Merged:
    """Put the graphs of jobs together.

    A node that differs from one of the same name is called ``name[job]``, and so is a model.
    """
    merged = Merged(CoreGraph(jobs[0].graph.name))
    nodes: dict[int, str] = {}
    models: dict[int, str] = {}
    for job in jobs:
        names: dict[str, str] = {}
        for name, number in job.numbers.items():
            if number not in nodes:
                nodes[number] = _free(name, job.number, merged.graph.nodes)
                named = _models(job, name, merged.graph, models, identities)
                merged.graph.nodes[nodes[number]] = _renamed(job, name, nodes[number], names, named)
            names[name] = nodes[number]
        merged.names.append(names)
        merged.outputs += [str(Edge(names[edge.node], edge.port)) for edge in job.wanted]
    merged.outputs = list(dict.fromkeys(merged.outputs))
    return merged


def _free(name: str, job: int, taken: Mapping[str, object]) -> str:
    return f"{name}[{job}]" if name in taken else name


def _models(
    job: Placed, node: str, graph: CoreGraph, known: dict[int, str], identities: Identities
) -> dict[str, str]:
    """The names in the merged graph of the models that a node uses, which are put into it."""
    found: dict[str, str] = {}
    for sources in job.graph.nodes[node].read().values():
        for source in sources:
            if isinstance(source, ModelEdge):
                spec = job.graph.models[source.model]
                number = identities.model(spec)
                if number not in known:
                    known[number] = _free(source.model, job.number, graph.models)
                    graph.models[known[number]] = spec
                found[source.model] = known[number]
    return found


def _renamed(job: Placed, own: str, name: str, names: Mapping[str, str], models: Mapping[str, str]) -> Node:
    """A node with the merged graph's names, at the place that it was given."""
    node = job.graph.nodes[own]

    def feed(source: Feed) -> Feed:
        if isinstance(source, ModelEdge):
            return ModelEdge(models[source.model])
        return Edge(names[source.node], source.port)

    inputs = {port: tuple(map(feed, sources)) for port, sources in node.read().items()}
    return Node(name, node.operator, inputs, job.places[own], node.cache)
