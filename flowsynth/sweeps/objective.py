"""What a sweeper goes by: figures of the jobs, named before any is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowsynth.api import Graph
from flowsynth.core.edges import Node
from flowsynth.core.errors import Fault, GraphError, RunError, listing, nearest
from flowsynth.core.record import JobRecord, SweepRecord
from flowsynth.sweeps.metrics import MEASURE
from flowsynth.sweeps.read import LARGE, SMALL

_DIRECTIONS = ("minimize", "maximize")
_KEY, _DIRECTION = "sweep.objective", "hydra.sweeper.direction"


@dataclass(frozen=True, slots=True)
class Objective:
    """Figures, and which way each is better.

    Attributes:
        names: full names of metrics, as `sweep.json` has them.
        directions: ``minimize`` or ``maximize``, for each.
    """

    names: tuple[str, ...]
    directions: tuple[str, ...]

    def of(self, row: JobRecord) -> float | list[float] | Exception:
        """A job's figures, or why it has none."""
        if row.status != "done":
            return RunError(f"job {row.job} failed: {'; '.join(row.errors)}")
        missing = [name for name in self.names if name not in row.metrics]
        if missing:
            return RunError(f"job {row.job} has no figure {missing[0]}; it has {listing(row.metrics)}")
        found = [row.metrics[name] for name in self.names]
        return found[0] if len(found) == 1 else found

    def told(self, record: SweepRecord) -> list[str]:
        """The best jobs for a terminal: one, or where there are several figures all that none beats."""
        signs = [-1.0 if way == "maximize" else 1.0 for way in self.directions]
        found = []
        for row in record.jobs:
            figures = self.of(row)
            if not isinstance(figures, Exception):
                values = figures if isinstance(figures, list) else [figures]
                found.append(([sign * value for sign, value in zip(signs, values, strict=True)], row))
        best = [(cost, row) for cost, row in found if not any(_beats(other, cost) for other, _ in found)]
        return [self._line(row) for _, row in (best[:1] if len(self.names) == 1 else best)]

    def _line(self, row: JobRecord) -> str:
        figures = ", ".join(f"{name} = {row.metrics[name]:g}" for name in self.names)
        return f"best: job {row.job}: {figures}: {' '.join(row.overrides)}"


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and list(one) != list(other)


def objective_of(
    given: Sequence[str], direction: Any, graph: Graph, outputs: Sequence[str] | None
) -> Objective:
    """The objective that a sweep names, looked up in the graph of its first job.

    Args:
        given: ``node.metric``, or a metric alone where one node measures.
        direction: what the sweeper was told: one, or one for each; what is known of metrics where None.
        graph: the graph.
        outputs: what is delivered of it, as for a run.

    Raises:
        GraphError: there is no such figure, or nobody said which way it is better.
    """
    known = figures_of(graph, outputs)
    if not given:
        expected = f"{_KEY}=NAME, or several as [A,B], of {listing(_names(known), 24)}"
        raise GraphError([Fault(_KEY, "not set", expected)], "--multirun")
    faults: list[Fault] = []
    names = tuple(_full(name, known, faults) for name in given)
    told = list(direction) if isinstance(direction, list) else [direction] * (direction is not None)
    if told and len(told) != len(names):
        expected = f"{len(names)}, one for each of {', '.join(names)}"
        faults.append(Fault(_DIRECTION, f"{len(told)} directions", expected, repr(direction)))
        raise GraphError(faults, "--multirun")
    found = [_way(name, told[i] if told else None, faults) for i, name in enumerate(names)]
    if faults:
        raise GraphError(faults, "--multirun")
    return Objective(names, tuple(found))


def figures_of(graph: Graph, outputs: Sequence[str] | None) -> dict[str, tuple[str, ...] | None]:
    """Node -> the figures that it gives; None of an output whose values nobody knows before."""
    found: dict[str, tuple[str, ...] | None] = {}
    for name, node in graph.nodes.items():
        if type(node.operator).op == MEASURE:
            found[name] = measured(node)
    for edge in graph.wanted(outputs):
        found.setdefault(edge.node, None)
    return found


def measured(node: Node) -> tuple[str, ...]:
    """The names of the figures that a `measure` node gives."""
    params: Any = node.operator
    own = ["sharpness", "flicker", "warping_error"]
    own += ["spatial_information", "temporal_information", "temporal_flickering"] if params.extended else []
    own += ["niqe"] if params.niqe else []
    if not node.inputs.get("reference"):
        return ("frames", *own)
    between = ["psnr", "ssim", *["lpips"] * params.lpips, *["xpsnr"] * params.extended]
    return ("frames", *between, *own, *(f"reference.{name}" for name in own))


def _named(known: Mapping[str, tuple[str, ...] | None]) -> list[str]:
    return [f"{node}.{name}" for node, names in known.items() if names for name in names if name != "frames"]


def _names(known: Mapping[str, tuple[str, ...] | None]) -> list[str]:
    """All figures that are known, and the outputs that may be some."""
    return [*_named(known), *(node for node, names in known.items() if names is None)]


def _full(name: str, known: Mapping[str, tuple[str, ...] | None], faults: list[Fault]) -> str:
    """The full name of a figure."""
    names = _named(known)
    if name in names or any(
        name == node or name.startswith(f"{node}.") for node, own in known.items() if not own
    ):
        return name
    ends = [full for full in names if full.endswith(f".{name}")]
    short = [full for full in ends if full.count(".") == name.count(".") + 1]
    if len(short or ends) == 1:
        return (short or ends)[0]
    message = "may mean several figures" if ends else "no such figure"
    expected = f"one of {listing(short or ends or _names(known), 24)}"
    near = "" if ends else nearest(name, _names(known))
    faults.append(Fault(_KEY, message, expected, repr(name), near))
    return name


def _way(name: str, told: Any, faults: list[Fault]) -> str:
    short = name.rpartition(".")[2]
    if told is None and short in SMALL | LARGE:
        return "maximize" if short in LARGE else "minimize"
    if told in _DIRECTIONS:
        return str(told)
    message = f"{name}: is less better, or more?" if told is None else f"no direction of {name}"
    given = "" if told is None else repr(told)
    expected = f"{_DIRECTION}={'|'.join(_DIRECTIONS)}, or a list with one for each objective"
    faults.append(
        Fault(_DIRECTION, message, expected, given, nearest(str(told), _DIRECTIONS) if told else "")
    )
    return ""
