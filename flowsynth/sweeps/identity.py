"""Which nodes of many jobs are one: a number for each, equal where one result does for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

from flowsynth.core.canonical import canonical_json, plain_json
from flowsynth.core.edges import Edge, Inputs, Node
from flowsynth.core.exact import NoFormError, exact_fields
from flowsynth.core.graph import CoreGraph
from flowsynth.core.operator import Operator
from flowsynth.planning.reading import Reading


class Identities:
    """Numbers nodes by operator, params, inputs, model, device and policy; what cannot be kept by job too.

    Args:
        kept: whether the code of a class is known well enough for its results to be kept.

    Attributes:
        sharers: number of a node -> how many jobs have it.
    """

    def __init__(self, kept: Callable[[type], bool]) -> None:
        self.sharers: Counter[int] = Counter()
        self._kept = kept
        self._numbers: dict[Hashable, int] = {}
        self._operators: dict[int, tuple[Operator, int, bool]] = {}
        self._models: dict[int, tuple[Mapping[str, object], int]] = {}
        self._classes: dict[type, bool] = {}

    def of(
        self, job: int, graph: CoreGraph, roots: Iterable[str], places: Mapping[str, str]
    ) -> dict[str, int]:
        """Number every node that some roots need, upstream first.

        Args:
            job: number of the job.
            graph: its graph.
            roots: names of the nodes that it delivers.
            places: node -> device.

        Raises:
            RunError: an operator raised while it was asked what it reads.
        """
        found: dict[str, int] = {}
        reading = Reading.of(graph, roots)
        for name in reading.order:
            found[name] = self._node(job, graph, graph.nodes[name], places[name], reading.inputs[name], found)
        self.sharers.update(found.values())
        return found

    def _node(
        self, job: int, graph: CoreGraph, node: Node, device: str, read: Inputs, known: Mapping[str, int]
    ) -> int:
        operator, cacheable = self._operator(node.operator)
        alone = None if cacheable and node.cache != "never" else (job, node.name)
        feeds = []
        for port, sources in read.items():
            for source in sources:
                if isinstance(source, Edge):
                    feeds.append((port, known[source.node], source.port))
                else:
                    feeds.append((port, self.model(graph.models[source.model]), ""))
        return self._number((operator, device, node.cache, alone, *feeds))

    def model(self, spec: Mapping[str, object]) -> int:
        """The number of a model by its entry under ``models:``."""
        if id(spec) not in self._models:
            try:
                form: Hashable = canonical_json(spec)
            except (TypeError, ValueError):
                form = id(spec)  # held, so that no other comes to have it
            self._models[id(spec)] = spec, self._number(("model", form))
        return self._models[id(spec)][1]

    def _operator(self, operator: Operator) -> tuple[int, bool]:
        """The number of an operator with its params, and whether its results can be kept."""
        held = self._operators.get(id(operator))
        if held is None:
            classes: set[type] = set()
            try:
                form: Hashable = plain_json(exact_fields(operator, (), classes))
            except (NoFormError, TypeError, ValueError):
                form = id(operator)  # a plan says what is wrong with it
            kind = type(operator)
            number = self._number(("operator", kind, form))
            sound = all(map(self._sound, (kind, *classes))) and _cacheable(operator)
            held = self._operators[id(operator)] = operator, number, sound
        return held[1], held[2]

    def _sound(self, cls: type) -> bool:
        if cls not in self._classes:
            self._classes[cls] = self._kept(cls)
        return self._classes[cls]

    def _number(self, form: Hashable) -> int:
        return self._numbers.setdefault(form, len(self._numbers))


def _cacheable(operator: Operator) -> bool:
    try:
        return bool(operator.cacheable())
    except Exception:  # somebody else's code; a plan says so
        return False


def near_each_other(numbers: Sequence[Mapping[str, int]]) -> list[int]:
    """Places in a list of jobs, so that those which share the most come one after the other.

    Args:
        numbers: what each job's nodes are, upstream first.
    """
    return sorted(range(len(numbers)), key=lambda index: tuple(numbers[index].values()))
