"""From a flow to a graph in the making: each node that a result depends on, once; all faults together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter

from flowsynth.comfyui.flow import Flow, Link, Step
from flowsynth.comfyui.mapping.classes import CLASSES
from flowsynth.comfyui.mapping.errors import CannotMapError, SkippedError
from flowsynth.comfyui.mapping.graph import Sketch
from flowsynth.comfyui.mapping.site import Place, Site
from flowsynth.comfyui.mapping.values import Missing
from flowsynth.core.errors import RequestError, hint, nearest

#: Outputs that a class of nodes has at most.
_MOST = 64
#: Pixels along a side from which a picture is taken for one of a large model's.
_LARGE = 832


def sketch_of(flow: Flow, *, near: bool = False) -> tuple[Sketch, list[Place]]:
    """The graph of a flow, and what of it cannot be imported.

    Args:
        flow: the workflow.
        near: take what comes nearest where diffusers has no equal.

    Raises:
        RequestError: it has no result.
    """
    sinks = _sinks(flow)
    wanted = _behind(flow, sinks)
    sketch = Sketch(hints=_hints(flow, wanted), near=near)
    results: dict[str, tuple[object, ...]] = {}
    places: list[Place] = []
    for name in _ordered(flow, wanted):
        step = flow.steps[name]
        made, reason = _mapped(step, results, sketch)
        results[name] = made
        if reason:
            feeds = tuple(sink for sink in sinks if name in _behind(flow, [sink]) and sink != name)
            places.append(Place(step, reason, tuple(str(flow.steps[sink]) for sink in feeds)))
    return sketch, places


def _sinks(flow: Flow) -> list[str]:
    """What saves something; previews where nothing does, or those nodes that nobody reads."""
    kinds = {name: CLASSES[step.kind].sink for name, step in flow.steps.items() if step.kind in CLASSES}
    for kind in ("save", "preview"):
        if found := [name for name, sink in kinds.items() if sink == kind]:
            return found
    read = {link.node for step in flow.steps.values() for link in step.links()}
    last = [
        n for n, step in flow.steps.items() if n not in read and step.kind not in CLASSES and step.links()
    ]
    if not last:
        raise RequestError("the workflow saves nothing; expected a node such as SaveImage or SaveVideo")
    return last


def _behind(flow: Flow, names: Iterable[str]) -> set[str]:
    """Nodes that some depend on, these included."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found and name in flow.steps:
            found.add(name)
            waiting += [link.node for link in flow.steps[name].links()]
    return found


def _ordered(flow: Flow, wanted: set[str]) -> list[str]:
    """Nodes after those that they read, else in the file's order."""
    steps = {name: step for name, step in flow.steps.items() if name in wanted}
    order: TopologicalSorter[str] = TopologicalSorter(
        {name: [link.node for link in step.links() if link.node in wanted] for name, step in steps.items()}
    )
    return list(order.static_order())


def _hints(flow: Flow, wanted: set[str]) -> frozenset[str]:
    """Node classes, and whether pictures are large."""
    steps = [flow.steps[name] for name in wanted]
    kinds = {step.kind for step in steps}
    sizes = [
        min(width, height)
        for step in steps
        if step.kind == "EmptyLatentImage"
        for width, height in [(step.inputs.get("width"), step.inputs.get("height"))]
        if isinstance(width, int) and isinstance(height, int)
    ]
    return frozenset(kinds | ({"large"} if sizes and min(sizes) >= _LARGE else set()))


def _mapped(
    step: Step, results: Mapping[str, tuple[object, ...]], sketch: Sketch
) -> tuple[tuple[object, ...], str]:
    """What a node gives, and why it cannot be imported if so."""
    nothing = (Missing(),) * _MOST
    dangling = [
        link.node for link in step.inputs.values() if isinstance(link, Link) and link.node not in results
    ]
    if dangling:
        return nothing, f"reads from #{dangling[0]}, which the workflow does not have"
    if step.kind not in CLASSES:
        return nothing, f"no such node class here{hint(nearest(step.kind, CLASSES))}"
    try:
        return CLASSES[step.kind].run(Site(step, results, sketch)), ""
    except SkippedError:
        return nothing, ""
    except CannotMapError as error:
        return nothing, str(error)
